-- The first incumbent of an engine outside the sandbox: what trades upstream before Kronos ever changed anything is
-- adopted by a person, since there is nothing to compare it with and so no verdict that could promote it.

-- The activation of a config that upstream trades already. live_from, live_until: its first and last LIVE decision;
-- data_until: the last decision of any config. Decisions are not held here: who calls looked them up, and says so.
CREATE FUNCTION kronos.adopt_config(
    token text, engine text, config text, why text, live_from date, live_until date, data_until date,
    code text DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor kronos.principals := kronos.require_principal(token, ARRAY['change_manager', 'admin'], true, 'adopt a config');
    earlier text;
    wanted kronos.engine_configs;
    starts timestamptz := kronos.data_now();
    activation bigint;
BEGIN
    PERFORM kronos.enter_change(actor.name, why, code => code);
    IF why IS NULL OR why !~ '\S' THEN
        PERFORM kronos.refuse_change('adoptions_reason', 'an adoption needs a reason');
    END IF;
    SELECT config_id INTO earlier FROM kronos.config_activations WHERE engine_name = engine
        ORDER BY activation_id DESC LIMIT 1;
    IF earlier IS NOT NULL THEN
        PERFORM kronos.refuse_change('config_activations_first', format(
            'engine %s has had an active config, last %s: expected one that never had, '
            'as only a promotion or rollback changes it', engine, earlier));
    END IF;
    SELECT * INTO wanted FROM kronos.engine_configs WHERE config_id = config;
    IF wanted.engine_name IS DISTINCT FROM engine THEN
        PERFORM kronos.refuse_change('adoptions_config', format('config %s is %s: expected a registered config of %s',
            config, coalesce('of engine ' || wanted.engine_name, 'not registered'), engine));
    END IF;
    IF wanted.family <> 'REAL' THEN
        PERFORM kronos.refuse_change('adoptions_real',
            format('config %s has family %s: expected REAL, one that upstream trades', config, wanted.family));
    END IF;
    IF coalesce(live_from > live_until OR live_until > data_until OR live_until < data_until - 31, true) THEN
        PERFORM kronos.refuse_change('adoptions_live', format(
            'config %s has its last LIVE decision on %s: expected one in the 31 days up to %s, where the data ends',
            config, coalesce(live_until::text, 'no day'), coalesce(data_until::text, 'no day')));
    END IF;
    activation := kronos.swap_incumbent(engine, config, actor.name, format(
        'adopted as what trades upstream, LIVE from %s to %s in data until %s: %s', live_from, live_until, data_until, why
    ), starts, NULL, '*');
    PERFORM kronos.log_change('activation', engine, NULL, 'ACTIVATED', NULL, NULL, jsonb_build_object(
        'scope', '*', 'config_id', config, 'activated_at', starts, 'adopted', jsonb_build_object(
            'live_from', live_from, 'live_until', live_until, 'data_until', data_until)));
    RETURN activation;
END
$$;

GRANT EXECUTE ON FUNCTION kronos.adopt_config(text, text, text, text, date, date, date, text) TO kronos_change_manager;
