// The outcome of a commit over several shards: a row in its decider's `tenfold.decisions`, written by the transaction that it
// decides about, or, as 'abort', by a recovery that found no row. The primary key makes the two exclude each other.

/** What names a commit: `tenfold:SYSTEM:DECIDER:UUID`. Its part on shard X is prepared as `COMMIT:X`. */
export interface CommitName {
  readonly system: string
  /** The id of the shard that has the row. */
  readonly decider: string
  readonly uuid: string
}

export interface PreparedName extends CommitName {
  /** The name of the row. */
  readonly commit: string
  /** Where it is prepared. */
  readonly shard: string
}

const form =
  /^(tenfold:([^:']{1,64}):([0-9A-Za-z_-]{1,32}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})):([0-9A-Za-z_-]{1,32})$/

/** Null: it is not one of ours. */
export function preparedName(gid: string): PreparedName | null {
  const [, commit, system, decider, uuid, shard] = form.exec(gid) ?? []
  if (commit === undefined) return null
  return {
    commit,
    system: system as string,
    decider: decider as string,
    uuid: uuid as string,
    shard: shard as string,
  }
}

const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Said in the decider's own transaction. Fails with 40001 where recovery has said 'abort' before. */
export function decisionSql(commit: string): string {
  return `SELECT tenfold.decide(${quotedText(commit)})`
}

/** A statement that leaves a row in any case and answers what it says: 'commit' or 'abort'. By the operator. */
export function abortDecisionSql(commit: string): string {
  return `SELECT tenfold.presume_abort(${quotedText(commit)})`
}

/** Rows old enough to be forgotten, if no shard has a prepared transaction of theirs. */
export function oldDecisionsSql(ageMs: number, rowsMax: number): string {
  return `SELECT gid FROM tenfold.decisions WHERE at < pg_catalog.now() - interval '${Math.round(ageMs)} ms' ORDER BY at LIMIT ${rowsMax}`
}

export function forgetDecisionsSql(commits: readonly string[]): string {
  return `DELETE FROM tenfold.decisions WHERE gid IN (${commits.map(quotedText).join(', ')})`
}
