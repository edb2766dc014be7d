"""The table of facts: partitioned by the months of their ids, sealed by transaction, read under the reader's scope.

The transaction number has no BRIN operator class, so the sealer's index is over its text as a number; facts lie on
disk in the order of their transactions, and such an index costs an insert almost nothing.
"""

from django.db import migrations

TABLE = """
CREATE TABLE fact (
    id           uuid        NOT NULL,
    act          uuid        NOT NULL,
    subject      uuid        NOT NULL,
    happened_at  timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    xid          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    device_seq   bigint,
    event        int         NOT NULL,
    region       int,
    "by"         int         NOT NULL,
    unit         int         NOT NULL,
    device       int,
    corrects     uuid,
    kind         text        NOT NULL,
    purpose      text        NOT NULL DEFAULT '',
    digest       bytea       NOT NULL,
    salt         bytea       NOT NULL,
    CONSTRAINT fact_digest_is_sha256 CHECK (length(digest) = 32),
    CONSTRAINT fact_has_salt CHECK (length(salt) = 16),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX fact_subject ON fact (subject, received_at);
CREATE INDEX fact_act ON fact (act);
CREATE INDEX fact_corrects ON fact (corrects) WHERE corrects IS NOT NULL;
CREATE INDEX fact_xid ON fact USING brin (((xid::text)::bigint)) WITH (pages_per_range = 32, autosummarize = on);

-- Absurd clocks: ids whose time is in no month that was made.
CREATE TABLE fact_default PARTITION OF fact DEFAULT;
ALTER TABLE fact_default ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON fact_default FROM bihuan_engine, bihuan_app, bihuan_work;
"""

# Only the owner may make tables; the worker calls this. Reads no data that it hands back.
ENSURE = """
CREATE FUNCTION ledger_ensure_partitions(from_month date, n_months int) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
$do$
DECLARE
    no_month int;
    month    timestamp;
    part     text;
    lo       uuid;
    hi       uuid;
    n_made   int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ledger_ensure_partitions', 0));
    FOR no_month IN 0 .. n_months - 1 LOOP
        month := date_trunc('month', from_month::timestamp) + make_interval(months => no_month);
        part := 'fact_' || to_char(month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('public.' || part) IS NOT NULL;
        lo := public.ledger_lowest_id(month AT TIME ZONE 'UTC');
        hi := public.ledger_lowest_id((month + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TABLE public.%I (LIKE public.fact INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
        -- A partition that were read directly would show every row: no policy on it means no rows.
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('REVOKE ALL ON public.%I FROM bihuan_engine, bihuan_app, bihuan_work', part);
        -- Rows of the month that wait in the default partition; the transaction that wrote them stays with them.
        EXECUTE format(
            'WITH moved AS (DELETE FROM public.fact_default WHERE id >= %L AND id < %L RETURNING *)'
            ' INSERT INTO public.%I SELECT * FROM moved', lo, hi, part);
        EXECUTE format('ALTER TABLE public.fact ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', part, lo, hi);
        n_made := n_made + 1;
    END LOOP;
    RETURN n_made;
END
$do$;
REVOKE ALL ON FUNCTION ledger_ensure_partitions(date, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_ensure_partitions(date, int) TO bihuan_work;
"""

LOWEST = """
-- The smallest UUID of version 7 that carries the millisecond of a moment.
CREATE FUNCTION ledger_lowest_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog AS
$do$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$do$;
"""

POLICIES = """
ALTER TABLE fact ENABLE ROW LEVEL SECURITY;
CREATE POLICY fact_read ON fact FOR SELECT TO bihuan_app USING (
    unit = current_setting('bihuan.unit')::int
    OR EXISTS (
        SELECT 1 FROM visible v
        WHERE v.subject = fact.subject
          AND ((v.scope >= current_setting('bihuan.lo')::bigint AND v.scope < current_setting('bihuan.hi')::bigint)
               OR v.unit = current_setting('bihuan.unit')::int)));
CREATE POLICY fact_engine ON fact TO bihuan_engine USING (true) WITH CHECK (true);

ALTER TABLE conflict ENABLE ROW LEVEL SECURITY;
CREATE POLICY conflict_read ON conflict FOR SELECT TO bihuan_app USING (
    unit = current_setting('bihuan.unit')::int OR EXISTS (SELECT 1 FROM fact f WHERE f.id = conflict.fact));
CREATE POLICY conflict_engine ON conflict TO bihuan_engine USING (true) WITH CHECK (true);

ALTER TABLE seal ADD CONSTRAINT seal_whole CHECK (
    length(leaves) = 32 * n_facts AND length(root) = 32 AND length(chain) = 32 AND epoch >= 1 AND no >= 1 AND upto >= 0);
"""

# The months by real time: the demonstration's clock moves, the ids do not.
FIRST = "SELECT ledger_ensure_partitions((now() AT TIME ZONE 'UTC')::date, 3);"

BACKWARD = """
ALTER TABLE seal DROP CONSTRAINT seal_whole;
DROP POLICY conflict_engine ON conflict;
DROP POLICY conflict_read ON conflict;
ALTER TABLE conflict DISABLE ROW LEVEL SECURITY;
DROP TABLE fact;
DROP FUNCTION ledger_ensure_partitions(date, int);
DROP FUNCTION ledger_lowest_id(timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial"), ("subjects", "0001_initial")]
    operations = [migrations.RunSQL(TABLE + LOWEST + ENSURE + POLICIES + FIRST, BACKWARD)]
