// SQL that makes numbers which are unique over all shards without asking another: ids that are ordered by time, and sequences
// that take turns by ranges.
//
// An id is a counter and the shard's number. The counter is a sequence whose upper bits are the time: nextval() alone makes
// numbers, so they never repeat and only grow, also when the clock goes back. When it has fallen behind the clock, one session
// moves it on; others wait a moment for that, and go on with the time that it has if nobody does. Between its two steps they
// would have to take all numbers of that lag (millions, in microseconds) before one could repeat.

/** 2025-01-01, in Unix seconds. */
const epochSeconds = 1_735_689_600
/** Ids have ten bits for the shard. */
export const shardNumberMax = 1_023
const sequencesMax = 1_000
const rangeNumbers = 1_000
/** Milliseconds that an id waits for the counter to be moved on. */
const attemptsMax = 50

interface IdForm {
  readonly name: string
  /** Of the counter's time. */
  readonly unitsPerSecond: number
  /** By which the counter may be behind the clock. */
  readonly lagUnits: number
  readonly lock: number
}

/** 41 bits of milliseconds, 10 of the shard, 12 counted: until 2094. Over shards in the order of time but for a second. */
const wide: IdForm = { name: 'next_id', unitsPerSecond: 1_000, lagUnits: 1_000, lock: 1 }
/** 31 bits of seconds, 10 of the shard, 12 counted: exact in JavaScript, until 2093. Over shards ordered but for minutes. */
const narrow: IdForm = { name: 'next_id_53', unitsPerSecond: 1, lagUnits: 256, lock: 2 }

/** Of advisory locks of the schema's functions. */
export const lockSpace = 1_952_804_454

function idStatements({ name, unitsPerSecond, lagUnits, lock }: IdForm, shard: number): string[] {
  return [
    `CREATE SEQUENCE IF NOT EXISTS tenfold.${name}_counter AS bigint MINVALUE 0 START 0 NO CYCLE`,
    `CREATE OR REPLACE FUNCTION tenfold.${name}() RETURNS bigint
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  counted bigint;
  clock bigint := floor((extract(epoch FROM clock_timestamp()) - ${epochSeconds}) * ${unitsPerSecond});
BEGIN
  FOR attempt IN 1..${attemptsMax} LOOP
    counted := nextval('tenfold.${name}_counter');
    EXIT WHEN (counted >> 12) >= clock - ${lagUnits};
    IF pg_try_advisory_lock(${lockSpace}, ${lock}) THEN
      counted := nextval('tenfold.${name}_counter');
      IF (counted >> 12) < clock - ${lagUnits} THEN
        counted := setval('tenfold.${name}_counter', clock << 12);
      END IF;
      PERFORM pg_advisory_unlock(${lockSpace}, ${lock});
      EXIT;
    END IF;
    PERFORM pg_sleep(0.001);
  END LOOP;
  RETURN ((counted >> 12) << 22) | (${shard}::bigint << 12) | (counted & 4095);
END $$`,
  ]
}

/** @param shard at most `shardNumberMax` */
export function numberStatements(shard: number): readonly string[] {
  return [
    ...idStatements(wide, shard),
    ...idStatements(narrow, shard),
    'CREATE SCHEMA IF NOT EXISTS tenfold_sequences',
    // Ranges of a thousand numbers, those of the shards in turn.
    `CREATE OR REPLACE FUNCTION tenfold.sequence_next(name text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  counted bigint;
  sequence regclass := to_regclass(format('tenfold_sequences.%I', name));
BEGIN
  IF sequence IS NULL THEN
    IF name = '' OR octet_length(name) > 63 THEN
      RAISE EXCEPTION 'The name of a sequence has 1 to 63 bytes.' USING ERRCODE = '42602';
    END IF;
    IF (SELECT count(*) FROM pg_class WHERE relnamespace = 'tenfold_sequences'::regnamespace) >= ${sequencesMax} THEN
      RAISE EXCEPTION 'There are ${sequencesMax} sharded sequences, and no more are made.' USING ERRCODE = '54000';
    END IF;
    PERFORM pg_advisory_xact_lock(${lockSpace}, hashtext(name));
    EXECUTE format('CREATE SEQUENCE IF NOT EXISTS tenfold_sequences.%I AS bigint MINVALUE 0 START 0 NO CYCLE', name);
    sequence := format('tenfold_sequences.%I', name)::regclass;
  END IF;
  counted := nextval(sequence);
  RETURN (counted / ${rangeNumbers} * ${shardNumberMax + 1} + ${shard}) * ${rangeNumbers} + counted % ${rangeNumbers};
END $$`,
  ]
}
