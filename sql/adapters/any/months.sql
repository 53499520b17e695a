-- Months in which decisions are dated.
SELECT DISTINCT to_char(days.as_of_date, 'YYYY-MM') AS month
FROM (SELECT DISTINCT as_of_date FROM engine_decisions WHERE as_of_date IS NOT NULL) AS days
ORDER BY month
