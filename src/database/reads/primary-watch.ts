// Asks the primary where its log ends: one sample at a time, for everybody who needs one. Decides nothing: what a sample
// is worth says policy/fresh-read.

import type { Question } from './asker.ts'
import { type LinkOptions, MonitorLink } from './link.ts'

/** Flushed: enough when commits are flushed before they are acknowledged. */
const flushed: Question = {
  name: 'flushed',
  text: "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::int8",
}
/** Inserted: covers commits that were acknowledged before they were flushed; may lie past the last record for a while. */
const inserted: Question = {
  name: 'inserted',
  text: "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8",
}
/** A server keeps its timeline as long as it is a primary; on a replica this fails, and the connection is given up. */
const standing: Question = {
  name: 'standing',
  text: `SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8,
    current_setting('synchronous_commit')`,
}

export interface PrimaryWatchOptions extends Omit<LinkOptions, 'opened'> {
  /** The cluster's timeline: a server on an older one is not its primary, whatever it says. */
  readonly timelineMin: number
  /** Said once. */
  readonly distrusted: (timeline: number) => void
  /** `lossy`: commits are acknowledged before they are flushed, by the server's settings. */
  readonly opened: (timeline: number, lossy: boolean) => void
}

export class PrimaryWatch {
  readonly link: MonitorLink
  timeline = 0
  #distrusted = false

  constructor(options: PrimaryWatchOptions) {
    this.link = new MonitorLink({
      ...options,
      opened: () =>
        this.link.ask(standing, ([timeline, commit]) => {
          if (Number(timeline) < options.timelineMin) return this.#distrust(Number(timeline), options)
          this.timeline = Number(timeline)
          return options.opened(this.timeline, commit === 'off')
        }),
      lost: why => {
        this.timeline = 0
        options.lost(why)
      },
    })
    this.link.connect()
  }

  /** It can be asked now. */
  get ready(): boolean {
    return this.timeline > 0 && this.link.idle
  }

  /** It can be asked now or when the question under way is answered. */
  get known(): boolean {
    return this.timeline > 0 && this.link.open
  }

  /** Only when `ready`. */
  sample(lossy: boolean, done: (lsn: number) => void): void {
    this.link.ask(lossy ? inserted : flushed, ([lsn]) => done(Number(lsn)))
  }

  #distrust(timeline: number, { distrusted }: PrimaryWatchOptions): void {
    this.link.giveUp('it is on an older timeline')
    if (!this.#distrusted) distrusted(timeline)
    this.#distrusted = true
  }

  close(): void {
    this.link.close()
  }
}
