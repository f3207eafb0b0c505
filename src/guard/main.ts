// The guard in the edge's main thread, as the edge asks for it. Small: what it is made of is loaded with the first snapshot
// that has a guard. Without one it says nothing and holds nothing.

import type { Metrics } from '../kit/metrics.ts'
import type { GuardedSnapshot } from './composition.ts'
import type { MainComposition } from './main-composition.ts'
import type { GuardStart, GuardToWorker, WorkerBatch } from './messages.ts'
import { registerGuardMetrics } from './metrics.ts'
import type { GuardSpec } from './part.ts'

/** As the edge's `MainGuardSurroundings`. */
export interface MainSurroundings {
  readonly stateDirectory: string
  readonly workers: number
  send(message: unknown, worker?: number): void
  tell(subject: string, text: string): void
}

export class MainGuardHost {
  readonly #surroundings: MainSurroundings
  #composition: MainComposition | null = null

  constructor(surroundings: MainSurroundings) {
    this.#surroundings = surroundings
  }

  get memory(): GuardStart {
    const composition = this.#composition
    return composition === null ? { memory: {}, bans: [] } : composition.start()
  }

  async take(snapshot: GuardedSnapshot): Promise<void> {
    const spec = (snapshot.guard as GuardSpec | undefined) ?? null
    if (spec === null) return
    this.#composition ??= await this.#compose()
    await this.#composition.take(spec, snapshot)
  }

  async #compose(): Promise<MainComposition> {
    const { MainComposition } = await import('./main-composition.ts')
    const { stateDirectory, workers, send, tell } = this.#surroundings
    return MainComposition.open({
      stateDirectory,
      workers,
      send: (message: GuardToWorker, worker) => send(message, worker),
      tell,
    })
  }

  heard(worker: number, message: unknown): void {
    const { batch } = message as WorkerBatch
    this.#surroundings.send({ kind: 'took', count: batch.length } satisfies GuardToWorker, worker)
    this.#composition?.heard(worker, batch)
  }

  workerDied(worker: number): void {
    this.#composition?.workerDied(worker)
  }

  async ask(question: unknown): Promise<unknown> {
    return (await this.#composition?.ask(question as { readonly kind: string })) ?? null
  }

  register(metrics: Metrics): void {
    registerGuardMetrics(metrics, () => this.#composition?.tally ?? null)
  }

  async close(): Promise<void> {
    await this.#composition?.close()
  }
}
