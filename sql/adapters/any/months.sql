-- Months in which decisions are dated, from the day $1 up to the month of $2 (today).
SELECT DISTINCT to_char(days.as_of_date, 'YYYY-MM') AS month
FROM (
    SELECT DISTINCT as_of_date FROM engine_decisions
    WHERE as_of_date >= $1 AND as_of_date < date_trunc('month', $2::date) + INTERVAL '1 month'
) AS days
ORDER BY month
