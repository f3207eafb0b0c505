// Once a day every sharded database is looked through for references that point nowhere: foreign keys over shards that no server
// can enforce. What is found is a warning, said again only when it is another finding. Looks only; a person decides.

import type { OperationResult } from './control/handlers.ts'

const everyMsDefault = 24 * 3_600_000
/** After the start: a system that comes up has other things to do. */
const firstMsDefault = 600_000
/** Said of one look; the command shows the rest. */
const saidMax = 5

export interface DanglingWatchOf {
  /** Sharded databases that run now. */
  readonly names: () => readonly string[]
  readonly look: (name: string) => Promise<OperationResult>
  readonly tell: (kind: 'warning' | 'decision', database: string, text: string) => void
  readonly everyMs?: number
  readonly firstMs?: number
}

export class DanglingWatch {
  readonly #of: DanglingWatchOf
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** By database: what was found last. */
  readonly #said = new Map<string, string>()

  constructor(of: DanglingWatchOf) {
    this.#of = of
  }

  /** Begins, if there is anything to look at; again is nothing. */
  start(): void {
    if (this.#timer === undefined) this.#later(this.#of.firstMs ?? firstMsDefault)
  }

  #later(ms: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      void this.round().finally(() => this.#later(this.#of.everyMs ?? everyMsDefault))
    }, ms)
    this.#timer.unref()
  }

  /** A look under way ends by itself; nothing is waited for. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** One look at each of them. Never rejects. */
  async round(): Promise<void> {
    for (const name of this.#of.names()) {
      if (this.#stopped) return
      try {
        const { findings = [] } = await this.#of.look(name)
        if (!this.#stopped) this.#say(name, findings)
      } catch {
        // A shard that can't be asked now: the next day.
      }
    }
  }

  #say(name: string, findings: readonly string[]): void {
    const said = findings.join('\n')
    if (this.#said.get(name) === said) return
    const before = this.#said.get(name) ?? ''
    this.#said.set(name, said)
    if (findings.length === 0) {
      if (before !== '') this.#of.tell('decision', name, 'all references over shards point somewhere again')
      return
    }
    const more = findings.length - saidMax
    const rest = more > 0 ? `; and ${more} more (\`tenfold db dangling ${name}\`)` : ''
    this.#of.tell(
      'warning',
      name,
      `references point nowhere: ${findings.slice(0, saidMax).join('; ')}${rest}`,
    )
  }
}
