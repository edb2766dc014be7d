-- The four roles. Run by the superuser at every start; changes nothing when all is there.
DO $do$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['bihuan_owner', 'bihuan_engine', 'bihuan_app', 'bihuan_work'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE %s', name,
                               CASE name WHEN 'bihuan_engine' THEN 'NOLOGIN' ELSE 'LOGIN' END);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another process was faster
            END;
        END IF;
    END LOOP;
    -- The account that runs this makes the owner's database and schema.
    IF NOT pg_has_role('bihuan_owner', 'USAGE') THEN
        EXECUTE format('GRANT bihuan_owner TO %I WITH INHERIT TRUE, SET TRUE', current_user);
    END IF;
END
$do$;
-- A door switches to the engine with SET LOCAL ROLE; nothing of the engine's leaks into the application's own queries.
GRANT bihuan_engine TO bihuan_app WITH INHERIT FALSE, SET TRUE;
GRANT bihuan_engine TO bihuan_work WITH INHERIT TRUE, SET TRUE;
-- A forgotten scope is a clear error on a fresh and on a used connection, never an empty list.
ALTER ROLE bihuan_app SET bihuan.lo = 'no scope was set';
ALTER ROLE bihuan_app SET bihuan.hi = 'no scope was set';
ALTER ROLE bihuan_app SET bihuan.unit = 'no scope was set';
