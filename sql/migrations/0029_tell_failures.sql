-- A scenario that failed is told apart from one that the runner does not play: testing that goes on tries it again.

ALTER TABLE kronos.backtest_pieces ADD COLUMN failed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN kronos.backtest_pieces.failed IS
    'Whether a scenario has no rows because playing it failed, however often it was tried; false: it was not to be played.';
COMMENT ON COLUMN kronos.backtest_pieces.found IS
    'Per config what probes found, or why a neighbour was not run: empty where it was, tried again; null: not looked for.';

-- Of those so far nobody knows which it was, and a runner that refuses one does so at once.
ALTER TABLE kronos.backtest_pieces DISABLE TRIGGER USER;
UPDATE kronos.backtest_pieces SET failed = true WHERE refused IS NOT NULL;
ALTER TABLE kronos.backtest_pieces ENABLE TRIGGER USER;
ALTER TABLE kronos.backtest_pieces ADD CONSTRAINT backtest_pieces_failed_check CHECK (refused IS NOT NULL OR NOT failed);

GRANT INSERT (failed) ON kronos.backtest_pieces TO kronos_orchestrator;
