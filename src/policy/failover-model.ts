// What a failover is decided from and what comes out: looks at servers, what is remembered, steps. Types, and the few
// functions that give new values of them. The decision itself is `failover.ts`.

/** One look at one server, as the shell saw it last. */
export interface SeenServer {
  readonly id: string
  /** When the look began and ended; microseconds, monotonic. */
  readonly beganUs: number
  readonly endedUs: number
  /** Null: not a process of ours. */
  readonly processAlive: boolean | null
  readonly answers: boolean
  readonly problem: string
  /** From here on only when it answers. */
  readonly inRecovery: boolean
  readonly timeline: number
  /** Replicas: received and on disk. Primary: flushed. */
  readonly lsn: number
  /** A replica that began anew and still replays what it has itself: its `lsn` may grow without anybody's help. */
  readonly settled: boolean
  /** Id of the server it copies from now. */
  readonly streamsFrom: string | null
  /** Primary only: who streams from it, and what each has on disk. */
  readonly standbys: readonly {
    readonly id: string
    readonly streaming: boolean
    readonly flushLsn: number
  }[]
  readonly writes: boolean
  readonly disk: 'empty' | 'primary' | 'replica' | 'damaged'
  /** A repair of it is under way: it is left alone. */
  readonly busy: boolean
}

export interface FailoverMember {
  readonly id: string
  readonly from: string
  readonly delayMs: number
}

export interface FailoverSettings {
  readonly durability: 'primary' | 'one-replica' | 'all-replicas'
  readonly automatic: boolean
  /** False: servers that others run. Their roles are followed, nothing is changed. */
  readonly canFence: boolean
  readonly members: readonly FailoverMember[]
  /** Silent, or without a write, for so long and twice in a row: hung. */
  readonly detectMs: number
  /** Decisions further apart than this: the machine or this process slept, and what was seen before is void. */
  readonly gapMs: number
  /** How long a proof is waited for before the dead primary is started again instead. */
  readonly proofWaitMs: number
  /** Without a promise to keep: how long candidates are waited for that might be further. */
  readonly answerWaitMs: number
  /** At most so many failovers in the window; then the primary is started again where it is. */
  readonly failoversMax: number
  readonly failoversWindowMs: number
  /** A replica further behind than this is not promoted without being asked: the dead primary is started again. */
  readonly lagMaxBytes: number
  readonly replicaHungMs: number
  readonly followAfterMs: number
  /** A replica that has not streamed for so long leaves the list of those that may acknowledge. */
  readonly standbyGoneMs: number
  /** After a changed list: until no process of the server can work by the former one. */
  readonly synchronousSettleMs: number
  readonly switchoverWaitMs: number
  readonly repairPauseMs: number
  readonly repairPauseMaxMs: number
}

export const failoverDefaults: Omit<
  FailoverSettings,
  'durability' | 'automatic' | 'canFence' | 'members' | 'detectMs'
> = {
  gapMs: 1_000,
  proofWaitMs: 5_000,
  answerWaitMs: 1_000,
  failoversMax: 3,
  failoversWindowMs: 60_000,
  lagMaxBytes: 16_777_216,
  replicaHungMs: 10_000,
  followAfterMs: 1_000,
  standbyGoneMs: 3_000,
  synchronousSettleMs: 1_000,
  switchoverWaitMs: 10_000,
  repairPauseMs: 200,
  repairPauseMaxMs: 60_000,
}

/** Each acknowledged commit stands on at least `need` of these, beside the primary. 0: nobody was waited for. */
export interface Quorum {
  readonly need: number
  readonly names: readonly string[]
}

/**
 * A change of the primary under way.
 *
 * hold     (switchover) routers hold, transactions end, the target catches up. Exits: stop; nothing, when it is given up.
 * stop     (switchover) the primary is stopped cleanly. Exits: choose; fence, when it does not stop.
 * fence    the former primary must be seen ended. Exit: choose.
 * choose   nobody writes; positions are gathered. Exit: promote, once nothing acknowledged can be missing.
 * promote  `to` is decided and on disk. Exits: none (a primary, an epoch); choose, when `to` is gone for good.
 */
export interface FailoverChange {
  readonly kind: 'failover' | 'switchover'
  readonly phase: 'hold' | 'stop' | 'fence' | 'choose' | 'promote'
  readonly from: string
  /** Named by an operator, or chosen. */
  readonly to: string | null
  readonly why: string
  readonly lossy: boolean
  /** It stopped cleanly with its replicas connected: they have everything. */
  readonly clean: boolean
  /** Wall clock, milliseconds: when the first bad look began. */
  readonly beganMs: number
}

/** What must outlive the shell; on disk before each step that it speaks of. */
export interface FailoverJournal {
  /** Never goes back; each primary has its own. */
  readonly epoch: number
  readonly timeline: number
  readonly primary: string | null
  readonly change: FailoverChange | null
  /** Were primaries, or may have been: only as replicas may they come back. */
  readonly fenced: readonly string[]
  /** Their log went another way, or they are broken: only a fresh copy helps. */
  readonly rebuild: readonly string[]
  /** Fenced by a failover, and what only they have was not looked for yet. */
  readonly salvage: readonly string[]
  /** All that may hold for some acknowledged commit; the last one is meant to be in force. At most 8. */
  readonly quorums: readonly Quorum[]
  /** Highest timeline seen of each server: a replica without a sender may say an older one. */
  readonly timelines: Readonly<Record<string, number>>
  readonly paused: string | null
  /** Wall clock, milliseconds; the last 16. */
  readonly failoversMs: readonly number[]
}

export const newJournal: FailoverJournal = {
  epoch: 0,
  timeline: 0,
  primary: null,
  change: null,
  fenced: [],
  rebuild: [],
  salvage: [],
  quorums: [],
  timelines: {},
  paused: null,
  failoversMs: [],
}

/** What is remembered of one server; lost with the process, and made anew by looking. */
export interface ServerWatch {
  /** Begin of the first of the bad looks in a row; null: the last one was good. */
  readonly badSinceUs: number | null
  readonly badLooks: number
  readonly badKind: 'dead' | 'silent' | 'unwritable' | null
  readonly problem: string
  readonly lookUs: number
  /** Where it was when it last answered. */
  readonly lsn: number
  /** Since when it does not stream, as a replica. */
  readonly looseSinceUs: number | null
  readonly repairs: number
  readonly repairAtUs: number
}

export const newWatch: ServerWatch = {
  badSinceUs: null,
  badLooks: 0,
  badKind: null,
  problem: '',
  lookUs: -1,
  lsn: 0,
  looseSinceUs: null,
  repairs: 0,
  repairAtUs: 0,
}

export interface FailoverState {
  readonly journal: FailoverJournal
  readonly watch: Readonly<Record<string, ServerWatch>>
  readonly lastUs: number | null
  /** Since when the change is in its phase, or this process knows of it. */
  readonly phaseUs: number
  readonly held: boolean
  readonly drained: boolean
  /** The last epoch that routers were given a primary for. */
  readonly openedEpoch: number
  /** Set by this process: the list, when, and the position that its members must reach before older ones are forgotten. */
  readonly synchronous: {
    readonly server: string
    readonly text: string
    readonly setUs: number
    readonly lsn: number | null
  } | null
  readonly slots: Readonly<Record<string, string>>
}

export function newFailoverState(journal: FailoverJournal, nowUs: number): FailoverState {
  return {
    journal,
    watch: {},
    lastUs: null,
    phaseUs: nowUs,
    held: false,
    drained: false,
    openedEpoch: 0,
    synchronous: null,
    slots: {},
  }
}

/**
 * One thing to do now. hold, drain, stop, fence, synchronous, promote and open are taken one at a time, each with a look
 * after it. restart is that for the primary. The others are repairs: one a server, beside everything.
 */
export type FailoverStep =
  | RepairStep
  | ({ readonly why: string } & (
      | { readonly kind: 'hold' | 'drain' | 'open' | 'wait' | 'ask' }
      | { readonly kind: 'stop' | 'fence' | 'promote'; readonly server: string }
      | { readonly kind: 'synchronous'; readonly server: string; readonly names: string }
      | { readonly kind: 'slots'; readonly server: string; readonly replicas: readonly string[] }
    ))

export type RepairStep = { readonly why: string } & (
  | { readonly kind: 'restart' | 'start' | 'salvage'; readonly server: string }
  | { readonly kind: 'follow' | 'clone'; readonly server: string; readonly from: string }
)

export interface FailoverPlan {
  readonly steps: readonly FailoverStep[]
  /** What people read: `ready`, `holds while main-1 is replaced: ...`. */
  readonly why: string
  /** A sentence while writes can't be acknowledged; ''. */
  readonly trouble: string
  readonly servers: Readonly<Record<string, ServerStanding>>
}

export interface ServerStanding {
  readonly state: 'ready' | 'starting' | 'down' | 'fenced' | 'lost'
  readonly reason: string
}
