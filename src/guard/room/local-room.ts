// A room of one edge: decided in the edge's main thread, for all its workers, and kept in a journal in the state directory:
// whoever is in line, admitted or inside is so again after the end of the process, however it came.

import { JournalFile } from '../../io/journal-file.ts'
import type { Clock } from '../../kit/clock.ts'
import {
  Room,
  type RoomAnswer,
  type RoomAsk,
  type RoomChange,
  type RoomCounts,
  type RoomMode,
  type RoomRules,
} from '../../policy/room/index.ts'
import { awayAnswer, type RoomStore } from './room-store.ts'

/** A room that nobody asks still opens, forgets and admits. */
const tickMs = 100
/** The journal begins anew when it has grown by so much more than what it says. */
const slackBytes = 4 << 20

export interface LocalRoomOptions {
  readonly path: string
  readonly rules: RoomRules
  readonly clock: Clock
  /** Draws a code with the seed of an edition. */
  draw(edition: number, code: number): number
  tell(text: string): void
  /** Edition, draw: somebody may want to know. */
  changed(): void
}

export class LocalRoom implements RoomStore {
  readonly #options: LocalRoomOptions
  readonly #room: Room
  readonly #journal: JournalFile
  readonly #timer: NodeJS.Timeout
  #bytesLeast = 0
  #lost = false
  #torn = false

  constructor(options: LocalRoomOptions) {
    this.#options = options
    const { path, rules, clock } = options
    // A journal that was lost leaves tickets about: none of them names another person's place.
    this.#room = new Room(rules, clock.monotonic(), clock.wall())
    this.#journal = JournalFile.takeOver(path, lines => {
      if (lines.length > 0) this.#room.restore(changesOf(lines), clock.monotonic())
      return textOf(this.#room.snapshot())
    })
    this.#bytesLeast = this.#journal.bytes
    this.#timer = setInterval(() => this.#tick(), tickMs).unref()
  }

  get edition(): number {
    return this.#room.edition
  }

  get drawn(): boolean {
    return this.#room.drawn
  }

  ask(asks: readonly RoomAsk[]): readonly RoomAnswer[] {
    const { clock } = this.#options
    const [now, wall] = [clock.monotonic(), clock.wall()]
    if (this.#lost) return asks.map(() => awayAnswer)
    const answers = asks.map(ask => this.#room.ask(now, wall, this.#drawn(ask)))
    return this.#save() ? answers : asks.map(() => awayAnswer)
  }

  #drawn(ask: RoomAsk): RoomAsk {
    const room = this.#room
    if (!room.rules.lottery || room.drawn || ask.code === 0) return ask
    return { ...ask, draw: this.#options.draw(room.edition, ask.code) }
  }

  #tick(): void {
    const { clock } = this.#options
    if (this.#lost) return
    this.#room.advance(clock.monotonic(), clock.wall())
    this.#save()
  }

  /** False: what was decided counts for nothing. */
  #save(): boolean {
    const room = this.#room
    const { changes } = room
    if (changes.length === 0) return this.#owns()
    try {
      // What a failed write left of a line ends here.
      this.#journal.append(`${this.#torn ? '\n' : ''}${[...textOf(changes)].join('\n')}\n`)
    } catch (error) {
      if (!this.#torn) this.#options.tell(`its journal can't be written: ${(error as Error).message}`)
      this.#torn = true
      return false
    }
    room.changes = []
    this.#torn = false
    if (!this.#owns()) return false
    if (this.#journal.bytes > this.#bytesLeast * 2 + slackBytes) this.#beginAnew()
    if (changes.some(({ t }) => t === 'drawn' || t === 'edition')) this.#options.changed()
    return true
  }

  #beginAnew(): void {
    try {
      this.#journal.replace(textOf(this.#room.snapshot()))
    } catch (error) {
      // The long one is as good; tried again when it is twice as long.
      this.#options.tell(`its journal can't begin anew: ${(error as Error).message}`)
    }
    this.#bytesLeast = this.#journal.bytes
  }

  #owns(): boolean {
    if (!this.#lost && !this.#journal.owned) {
      // From now on this one lets in nobody.
      this.#lost = true
      this.#options.tell('its journal was taken over by another process, which answers from now on')
    }
    return !this.#lost
  }

  setRules(rules: RoomRules): void {
    this.#room.setRules(rules)
    this.#save()
    this.#options.changed()
  }

  async setMode(mode: RoomMode): Promise<void> {
    this.#room.setMode(mode)
    this.#save()
  }

  async revoke(id: number): Promise<boolean> {
    const done = this.#room.revoke(id, this.#options.clock.monotonic())
    this.#save()
    return done
  }

  async revokePerson(code: number): Promise<boolean> {
    const done = this.#room.revokePerson(code, this.#options.clock.monotonic())
    this.#save()
    return done
  }

  async counts(): Promise<RoomCounts> {
    return this.#room.counts(this.#options.clock.monotonic())
  }

  async places(): Promise<readonly number[]> {
    return this.#room.places
  }

  close(): void {
    clearInterval(this.#timer)
    this.#journal.close()
  }
}

function* textOf(changes: Iterable<RoomChange>): Generator<string> {
  for (const change of changes) yield JSON.stringify(change)
}

function* changesOf(lines: readonly string[]): Generator<RoomChange> {
  for (const line of lines) {
    const change = parsed(line)
    if (change !== null) yield change
  }
}

/** Null: the rest of a line whose writing failed; what it said was not told anybody. */
function parsed(line: string): RoomChange | null {
  try {
    return JSON.parse(line) as RoomChange
  } catch {
    return null
  }
}
