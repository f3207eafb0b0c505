// Which tables a read's result depends on, found by asking the primary: names made sure of, views followed to their tables; and
// what else there is in the database by which a write may reach a table that its text does not name. Refuses what it can't
// be sure of: such a read is served as ever.

import { FeedServer } from '../feed/place.ts'
import type { StatementInfo } from '../sql/contract.ts'

/** Found: `schema.table`, as the feed names them. Null: not to be kept. */
export type ReadTables = readonly string[] | null

export interface Surroundings {
  /** Triggers, cascades or rules: a write may change any table. */
  readonly indirect: boolean
  /** Views and partitions, lower case: a write that names one changes a table that it does not name. */
  readonly others: readonly string[]
}

/** Their results follow from their arguments alone, whatever the session, the clock or other tables are. */
const plain = new Set(
  `abs any array array_agg array_length avg bool_and bool_or btrim cardinality ceil ceiling char_length coalesce concat
  concat_ws count cube date_trunc dense_rank div every exists extract first_value floor format greatest grouping hashtext
  if in initcap int jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object jsonb_object_agg json_agg
  json_build_array json_build_object json_object_agg lag last_value lead least left length lower lpad ltrim max md5 min mod
  ntile nullif numeric octet_length overlay over position power rank regexp_replace replace reverse right rollup round row
  row_number rpad rtrim sets sign split_part sqrt starts_with string_agg strpos substr substring sum trim trunc unnest upper
  varchar char decimal values and or not as from where select on using join then when else case between like ilike some all
  distinct by having limit offset filter within group union except intersect with lateral materialized is end float
  character varying timestamp timestamptz time interval bit`.split(/\s+/),
)

/** What reads the clock, the session or chance without a call's brackets. */
const forbidden =
  /\b(current_(date|time|timestamp|user|role|schema|catalog)|localtime|localtimestamp|session_user|system_user|user|tablesample)\b|'\s*(now|today|tomorrow|yesterday|allballs)\s*'/i

/** Does nothing in this text but tables decide about its result? */
export function isPlain(text: string): boolean {
  const bare = text.replace(/\/\*[^*]*\*\//g, ' ')
  if (forbidden.test(bare) || /"\s*\(/.test(bare)) return false
  for (const [, name] of bare.matchAll(/([A-Za-z_][A-Za-z0-9_$.]*)\s*\(/g))
    if (!plain.has((name as string).toLowerCase())) return false
  return true
}

interface Look {
  readonly named: Readonly<Record<string, number>> | null
  readonly relations:
    | readonly {
        readonly table: string
        readonly kind: string
        readonly persistence: string
        readonly system: boolean
        readonly secured: boolean
        readonly children: boolean
        readonly view: string | null
      }[]
    | null
  readonly indirect: boolean
  readonly others: readonly string[] | null
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
/** More views and partitions than this: any write may change anything. */
const othersMax = 2_000
const askTimeoutMs = 5_000

function lookSql(names: readonly string[]): string {
  const values = names.map(name => `(${literal(name)})`).join(', ')
  return `WITH RECURSIVE
    named AS (SELECT q.name, c.oid FROM (VALUES ${values}) AS q (name)
      JOIN pg_class AS c ON c.relkind IN ('r', 'p', 'v', 'm', 'f')
      JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname !~ '^pg_(toast|temp)'
        AND (q.name = c.relname OR q.name = n.nspname || '.' || c.relname)),
    reached AS (SELECT oid FROM named
      UNION SELECT d.refobjid FROM reached AS r
        JOIN pg_class AS c ON c.oid = r.oid AND c.relkind = 'v'
        JOIN pg_rewrite AS w ON w.ev_class = c.oid
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid),
    users AS (SELECT c.* FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
  SELECT json_build_object(
    'named', (SELECT json_object_agg(name, count) FROM (SELECT name, count(*) FROM named GROUP BY name) AS counted),
    'relations', (SELECT json_agg(json_build_object('table', n.nspname || '.' || c.relname, 'kind', o.relkind,
        'persistence', o.relpersistence, 'system', n.nspname ~ '^pg_' OR n.nspname = 'information_schema',
        'secured', o.relrowsecurity OR c.relrowsecurity,
        'children', o.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = o.oid),
        'view', CASE o.relkind WHEN 'v' THEN pg_get_viewdef(o.oid) END))
      FROM reached AS r JOIN pg_class AS o ON o.oid = r.oid
        JOIN pg_class AS c ON c.oid = CASE WHEN o.relispartition THEN pg_partition_root(o.oid)::oid ELSE o.oid END
        JOIN pg_namespace AS n ON n.oid = c.relnamespace),
    'indirect', EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal)
      OR EXISTS (SELECT FROM pg_constraint WHERE contype = 'f'
        AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')))
      OR EXISTS (SELECT FROM pg_rewrite AS w JOIN users AS u ON u.oid = w.ev_class WHERE w.ev_type <> '1'),
    'others', (SELECT json_agg(relname) FROM (SELECT relname FROM users AS u WHERE relkind = 'v' OR relispartition
        OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = u.oid) LIMIT ${othersMax + 1}) AS found))`
}

function tablesOf({ named, relations }: Look, names: readonly string[]): ReadTables {
  const tables = new Set<string>()
  // Of two tables of one name the search path would decide.
  if (!names.every(name => named?.[name] === 1)) return null
  for (const one of relations ?? []) {
    if (one.system || one.secured || one.children) return null
    if (one.kind === 'v') {
      if (!isPlain(one.view ?? 'unknown()')) return null
    } else if ((one.kind === 'r' || one.kind === 'p') && one.persistence === 'p') tables.add(one.table)
    else return null
  }
  return tables.size === 0 ? null : [...tables]
}

/** By text; asked once, and again when it was long ago. */
interface Known {
  readonly tables: ReadTables
  readonly atUs: number
}

/** A table, view or trigger that somebody makes elsewhere is seen this late. */
const freshUs = 10_000_000
/** Not used any more when it is as old as this. */
const oldUs = 20_000_000
const knownMax = 5_000
const asksMax = 8

export class ResultTables {
  readonly #address: () => Promise<ConstructorParameters<typeof FeedServer>[0] | null>
  readonly #known = new Map<string, Known>()
  readonly #asking = new Set<string>()
  #server: FeedServer | null = null
  /** Grows when tables may have changed: what was asked before does not count. */
  #schema = 0
  surroundings: Surroundings = { indirect: true, others: [] }

  constructor(address: () => Promise<ConstructorParameters<typeof FeedServer>[0] | null>) {
    this.#address = address
  }

  /** Undefined: not known yet; it is asked. */
  of(text: string, info: StatementInfo, nowUs: number): ReadTables | undefined {
    const known = this.#known.get(text)
    if (known === undefined || nowUs - known.atUs > freshUs) void this.#ask(text, info, nowUs)
    return known === undefined || nowUs - known.atUs > oldUs ? undefined : known.tables
  }

  async #ask(text: string, info: StatementInfo, nowUs: number): Promise<void> {
    if (this.#asking.has(text) || this.#asking.size >= asksMax) return
    if (info.relations.length === 0 || !isPlain(text)) {
      this.#keep(text, { tables: null, atUs: nowUs })
      return
    }
    this.#asking.add(text)
    const schema = this.#schema
    try {
      const address = this.#server === null ? await this.#address() : null
      if (address !== null) this.#server ??= new FeedServer(address)
      if (this.#server === null) return
      const [row] = await this.#server.ask(lookSql(info.relations), askTimeoutMs)
      if (schema !== this.#schema) return
      const look = JSON.parse(row?.[0] ?? '{}') as Look
      const others = (look.others ?? []).map(name => name.toLowerCase())
      this.surroundings = { indirect: look.indirect || others.length > othersMax, others }
      this.#keep(text, { tables: tablesOf(look, info.relations), atUs: nowUs })
    } catch {
      // Asked again when the read comes again.
      this.close()
    } finally {
      this.#asking.delete(text)
    }
  }

  #keep(text: string, known: Known): void {
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(text, known)
  }

  /** Tables were changed by a statement that passed here, or there is another primary. */
  forget(): void {
    this.#schema++
    this.#known.clear()
    this.surroundings = { indirect: true, others: [] }
    this.close()
  }

  close(): void {
    this.#server?.close()
    this.#server = null
  }
}
