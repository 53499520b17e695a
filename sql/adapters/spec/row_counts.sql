-- Rows and newest day of every source table: outcomes by evaluation, models by creation.
SELECT 'engine_decisions' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM engine_decisions
UNION ALL
SELECT 'decision_outcomes' AS source_table, count(*) AS rows, max(eval_date)::date AS newest FROM decision_outcomes
UNION ALL
SELECT 'regimes' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM regimes
UNION ALL
SELECT 'stability_vectors' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM stability_vectors
UNION ALL
SELECT 'fragility_measures' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM fragility_measures
UNION ALL
SELECT 'soft_target_classes' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM soft_target_classes
UNION ALL
SELECT 'portfolio_risk_reports' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM portfolio_risk_reports
UNION ALL
SELECT 'engine_runs' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM engine_runs
UNION ALL
SELECT 'job_executions' AS source_table, count(*) AS rows, max(as_of_date)::date AS newest FROM job_executions
UNION ALL
SELECT 'models' AS source_table, count(*) AS rows, max(created_at)::date AS newest FROM models
