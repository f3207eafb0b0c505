// What routers of one system tell each other of clients that may be part of a deadlock over shards: which server processes, and
// which commit, are one client's. Rows are of the moment: unlogged, and gone a minute after they were last said.

/** Of one client, on this shard. */
export interface WaitingRow {
  /** `ROUTER/CLIENT`. */
  readonly client: string
  readonly processId: number
  /** Name of its commit (`CommitName`); ''. */
  readonly commit: string
  /** Its wait can be ended. */
  readonly yields: boolean
}

const keptSeconds = 60

export const waitingStatements: readonly string[] = [
  `CREATE UNLOGGED TABLE IF NOT EXISTS tenfold.waiting (
  client text NOT NULL, pid integer NOT NULL, commit text NOT NULL, yields boolean NOT NULL,
  began timestamptz NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (client, pid))`,
]

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** In place of what this router has said on this shard before. */
export function tellWaitingSql(router: string, rows: readonly WaitingRow[]): string {
  const forget = `DELETE FROM tenfold.waiting WHERE starts_with(client, ${literal(`${router}/`)})
    OR at < clock_timestamp() - interval '${keptSeconds} s'`
  if (rows.length === 0) return forget
  const values = rows.map(
    ({ client, processId, commit, yields }) =>
      `(${literal(client)}, ${processId}, ${literal(commit)}, ${yields})`,
  )
  // A process is told with its transaction: it may soon work for somebody else.
  return `${forget};
  INSERT INTO tenfold.waiting (client, pid, commit, yields, began)
    SELECT DISTINCT ON (one.client, one.pid) one.*, activity.xact_start
    FROM (VALUES ${values.join(', ')}) AS one (client, pid, commit, yields) JOIN pg_stat_activity AS activity USING (pid)
    WHERE activity.xact_start IS NOT NULL`
}

/** Client, process, commit, whether it yields, when its transaction began (seconds): what holds now. */
export function waitingSql(freshMs: number, rowsMax: number): string {
  return `SELECT told.client, told.pid, told.commit, told.yields, extract(epoch FROM told.began)
  FROM tenfold.waiting AS told JOIN pg_stat_activity AS activity ON activity.pid = told.pid AND activity.xact_start = told.began
  WHERE told.at > clock_timestamp() - interval '${Math.round(freshMs)} ms' LIMIT ${rowsMax}`
}
