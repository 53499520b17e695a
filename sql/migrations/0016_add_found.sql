-- What a piece of a backtest found out besides its rows: probes leave nothing else.

ALTER TABLE kronos.backtest_pieces ADD COLUMN found jsonb
    CONSTRAINT backtest_pieces_found_check CHECK (jsonb_typeof(found) = 'object');
COMMENT ON COLUMN kronos.backtest_pieces.found IS
    'Per config what probes found, or why a neighbour was not run; null: nothing was looked for.';
GRANT INSERT (found) ON kronos.backtest_pieces TO kronos_orchestrator;
