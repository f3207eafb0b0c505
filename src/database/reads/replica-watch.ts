// Asks one replica how far it has replayed, and whose log it gets. Decides nothing: what that is worth says
// policy/replica.

import type { ReplicaStanding } from '../../policy/replica.ts'
import type { Question } from './asker.ts'
import { type LinkOptions, MonitorLink } from './link.ts'

/** Without a receiver the timeline is not told; what was told on this connection stays true until the primary changes. */
const position: Question = {
  name: 'position',
  text: `SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::int8,
    (SELECT received_tli FROM pg_stat_wal_receiver)`,
}

export interface ReplicaWatchOptions extends Omit<LinkOptions, 'opened' | 'lost'> {
  readonly standing: ReplicaStanding
  readonly opened: () => void
  /** A position has come. */
  readonly moved: (standing: ReplicaStanding) => void
  readonly lost: (why: string) => void
}

export class ReplicaWatch {
  readonly link: MonitorLink
  readonly standing: ReplicaStanding
  readonly #moved: (standing: ReplicaStanding) => void
  polledAt = 0

  constructor(options: ReplicaWatchOptions) {
    this.standing = options.standing
    this.#moved = options.moved
    this.link = new MonitorLink({
      ...options,
      opened: () => {
        this.standing.watched = true
        options.opened()
      },
      lost: why => {
        this.standing.forget()
        options.lost(why)
      },
    })
    this.link.connect()
  }

  /** Nothing when it is being asked already, or does not answer. */
  poll(now: number): void {
    if (!this.link.idle) return
    this.polledAt = now
    this.link.ask(position, ([lsn, timeline]) => {
      // Null: it has become a primary; what it has replayed is not what it shows.
      this.standing.lsn = lsn === null || lsn === undefined ? -1 : Number(lsn)
      if (timeline !== null && timeline !== undefined) this.standing.timeline = Number(timeline)
      this.#moved(this.standing)
    })
  }

  close(): void {
    this.link.close()
    this.standing.forget()
  }
}
