// A model of processes that race: every call that leaves a process takes steps, and a list of numbers says whose step
// is next. So one list is one interleaving, to be drawn at random, repeated and shrunk. A process may die at any step.

/** Microtasks that any code of ours needs at most between two steps. */
const quietTurns = 60

interface Waiting {
  readonly process: number
  readonly go: () => void
}

export class Schedule {
  readonly #choices: readonly number[]
  readonly #waiting: Waiting[] = []
  readonly #dead = new Set<number>()
  #chosen = 0
  taken = 0

  /** @param choices used round and round */
  constructor(choices: readonly number[]) {
    this.#choices = choices
  }

  /** Waits for its turn; a dead process's never comes. */
  step(process: number): Promise<void> {
    if (this.#dead.has(process)) return new Promise(() => {})
    return new Promise(go => this.#waiting.push({ process, go }))
  }

  /** From now on nothing of this process goes on. */
  kill(process: number): void {
    this.#dead.add(process)
    const living = this.#waiting.filter(one => one.process !== process)
    this.#waiting.splice(0, this.#waiting.length, ...living)
  }

  dead(process: number): boolean {
    return this.#dead.has(process)
  }

  /** Until nobody waits any more. @param before each step, with its number: to kill somebody */
  async run(before: (step: number) => void = () => {}): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < quietTurns; turn++) await null
      before(this.taken)
      if (this.#waiting.length === 0) return
      const choice = this.#choices[this.#chosen++ % this.#choices.length]!
      this.taken++
      this.#waiting.splice(choice % this.#waiting.length, 1)[0]!.go()
    }
  }
}

/** A database of one row that keeps its history: a write is seen from its commit on, and its writer hears of it later. */
export class ModelRow {
  readonly #schedule: Schedule
  /** Values in the order of their commits; a value's version is its place. */
  readonly history: string[] = ['first']

  constructor(schedule: Schedule) {
    this.#schedule = schedule
  }

  get now(): string {
    return this.history.at(-1)!
  }

  get version(): number {
    return this.history.length - 1
  }

  async read(process: number): Promise<string> {
    await this.#schedule.step(process)
    const value = this.now
    await this.#schedule.step(process)
    return value
  }

  /** Gives the version. */
  async write(process: number, value: string): Promise<number> {
    await this.#schedule.step(process)
    this.history.push(value)
    const version = this.version
    await this.#schedule.step(process)
    return version
  }
}

/** What is put under the schedule: a way to read and to write one row through caches, in several processes. */
export interface Subject {
  read(process: number): Promise<string>
  write(process: number, value: string): Promise<void>
  /** What a process that lives still holds or would be served at the end; undefined: nothing. */
  held(process: number): Promise<string | undefined>
}

export interface Course {
  readonly choices: readonly number[]
  readonly readers: readonly { readonly process: number; readonly reads: number }[]
  readonly writers: readonly { readonly process: number; readonly values: readonly string[] }[]
  /** Process 1 dies before this step; null: lives. */
  readonly death: number | null
}

export interface Verdict {
  /** Reads that began after a write was acknowledged, and saw something older. */
  readonly staleReads: readonly string[]
  /** What is held when all is quiet and is not what the database has. */
  readonly staleHeld: readonly string[]
  readonly row: ModelRow
}

/** Runs one course. @param settle after all is quiet, before what is held is looked at: lets fences end */
export async function runCourse(
  course: Course,
  make: (schedule: Schedule, row: ModelRow) => Subject,
  settle: () => void = () => {},
): Promise<Verdict> {
  const schedule = new Schedule(course.choices)
  const row = new ModelRow(schedule)
  const subject = make(schedule, row)
  const staleReads: string[] = []
  let acknowledged = 0

  const reader = async (process: number, reads: number): Promise<void> => {
    for (let i = 0; i < reads; i++) {
      await schedule.step(process)
      const least = acknowledged
      const seen = await subject.read(process)
      if (row.history.indexOf(seen) < least)
        staleReads.push(`process ${process} saw ${seen} after ${row.history[least]}`)
    }
  }
  const writer = async (process: number, values: readonly string[]): Promise<void> => {
    for (const value of values) {
      await schedule.step(process)
      await subject.write(process, value)
      acknowledged = Math.max(acknowledged, row.history.indexOf(value))
    }
  }
  for (const { process, reads } of course.readers) void reader(process, reads)
  for (const { process, values } of course.writers) void writer(process, values)
  await schedule.run(step => {
    if (step === course.death) schedule.kill(1)
  })
  settle()
  const staleHeld: string[] = []
  for (const process of [0, 1]) {
    if (schedule.dead(process)) continue
    const held = subject.held(process)
    await schedule.run()
    const value = await held
    if (value !== undefined && value !== row.now) staleHeld.push(`${process} holds ${value}, not ${row.now}`)
  }
  return { staleReads, staleHeld, row }
}
