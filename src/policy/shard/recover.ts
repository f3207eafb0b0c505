// What becomes of a part of a commit over shards that was prepared and not ended: whoever made it may be dead. The decision
// is a row on the decider, written in the commit of the decider's own part; where there is none, nothing was committed
// (presumed abort), once an 'abort' row makes sure that there will be none.

export interface PreparedPart {
  readonly gid: string
  /** By the server's own clock. */
  readonly ageMs: number
  /** Null: the name is not ours, or of another system. */
  readonly name: { readonly shard: string; readonly decider: string } | null
  /** Its coordinator is in this process, and at work. */
  readonly underWay: boolean
}

export interface RecoveryBounds {
  /** A live coordinator ends its parts sooner, hardly ever later. */
  readonly settleMs: number
  /** People are told. */
  readonly alertMs: number
}

export interface RecoveryView {
  /** The shard on whose primary it was found. */
  readonly foundOn: string
  /** Shards whose primaries answer. */
  readonly open: ReadonlySet<string>
  /** All shards of the map. */
  readonly shards: ReadonlySet<string>
}

export type RecoveryPlan =
  | { readonly kind: 'leave'; readonly why: 'not ours' | 'under way' | 'young' }
  /** Nothing can be done now. */
  | { readonly kind: 'wait'; readonly why: string; readonly alert: boolean }
  /** Ask the decider for the outcome, then do it. */
  | { readonly kind: 'resolve'; readonly decider: string; readonly alert: boolean }

export const recoveryBounds: RecoveryBounds = { settleMs: 5_000, alertMs: 60_000 }

export function planRecovery(
  part: PreparedPart,
  { foundOn, open, shards }: RecoveryView,
  { settleMs, alertMs }: RecoveryBounds,
): RecoveryPlan {
  const { name, ageMs } = part
  if (name === null) return { kind: 'leave', why: 'not ours' }
  const alert = ageMs >= alertMs
  if (part.underWay && !alert) return { kind: 'leave', why: 'under way' }
  if (ageMs < settleMs) return { kind: 'leave', why: 'young' }
  if (name.shard !== foundOn)
    return { kind: 'wait', why: `it was prepared for shard ${name.shard} and is on shard ${foundOn}`, alert }
  if (!shards.has(name.decider))
    return { kind: 'wait', why: `its decider, shard ${name.decider}, is no shard any more`, alert }
  if (!open.has(name.decider))
    return { kind: 'wait', why: `its decider, shard ${name.decider}, does not answer`, alert }
  return { kind: 'resolve', decider: name.decider, alert }
}

/** What is said where it is prepared. Null: the decider answered what is no outcome. */
export function endOf(gid: string, outcome: string | null): string | null {
  if (outcome === 'commit') return `COMMIT PREPARED '${gid}'`
  return outcome === 'abort' ? `ROLLBACK PREPARED '${gid}'` : null
}

/** Decisions that nobody can ask for: only when every shard was looked through, and none has a part of theirs. */
export function forgettable(
  old: readonly string[],
  prepared: ReadonlySet<string>,
  lookedThrough: ReadonlySet<string>,
  shards: ReadonlySet<string>,
): readonly string[] {
  for (const shard of shards) if (!lookedThrough.has(shard)) return []
  return old.filter(commit => !prepared.has(commit))
}
