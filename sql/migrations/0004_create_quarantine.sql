-- Source rows that broke the contract, one row per broken rule. A batch (a month `YYYY-MM`, or `strays` for rows that
-- belong to no month) is always replaced as a whole.

CREATE TABLE kronos.quarantine (
    batch text NOT NULL,
    source_table text NOT NULL,
    source_key text NOT NULL,
    rule text NOT NULL,
    value text,
    as_of_date date,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_by_batch ON kronos.quarantine (batch, rule);

GRANT SELECT ON kronos.quarantine TO kronos_reader, kronos_orchestrator, kronos_chat, kronos_change_manager;
GRANT INSERT, DELETE ON kronos.quarantine TO kronos_orchestrator;
