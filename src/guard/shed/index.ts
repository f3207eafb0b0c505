// Shedding, as the guard loads it: each worker watches its event loop, tells its load to limits that tighten with it, and
// refuses by class where it has more to do than it can. Places of services are the edge's, which asks the visit's class.

import type { CheckedGuardPolicy } from '../../file/checked-guard.ts'
import { watchLoop } from '../../io/loop-watch.ts'
import { Importance, isShed, loopLoad, smoothedLoad } from '../../policy/shed/index.ts'
import { LoadCells, limitMemory } from '../limit/memory.ts'
import type { GuardPart, GuardStep, GuardSurroundings, MainGuardPart, MainPartSurroundings } from '../part.ts'
import { type Passage, verdict } from '../passage.ts'
import type { GuardVisit } from '../visit.ts'
import { shedRefusals } from './failures.ts'

/** Name of the shared memory: thousandths of the load of each worker. */
export const shedMemory = 'shed.load'

export class ShedPart implements GuardPart {
  readonly name = 'shed'
  load = 0
  readonly #surroundings: GuardSurroundings
  readonly #stop: () => void
  readonly #cells: LoadCells
  /** Made with the first policy that limits. */
  #limits: LoadCells | null = null

  constructor(surroundings: GuardSurroundings) {
    this.#surroundings = surroundings
    this.#cells = new LoadCells(surroundings.memory[shedMemory] as SharedArrayBuffer)
    this.#stop = watchLoop(({ delayUs, utilisation }) => {
      this.load = smoothedLoad(this.load, loopLoad(delayUs, utilisation))
      this.#tell()
    })
  }

  #tell(): void {
    const { index, memory } = this.#surroundings
    const limits = memory[limitMemory.load]
    if (this.#limits === null && limits !== undefined) this.#limits = new LoadCells(limits)
    this.#cells.write(index, this.load)
    this.#limits?.write(index, this.load)
  }

  step(policy: CheckedGuardPolicy): GuardStep | null {
    const { shed } = policy
    return shed === undefined ? null : this.#step(policy, Importance[shed])
  }

  #step(policy: CheckedGuardPolicy, declared: (typeof Importance)[keyof typeof Importance]): GuardStep {
    const only = policy.detectOnly.includes('shed')
    // Whether it was admitted is known behind this step: the room itself bounds who comes.
    const early = policy.room === undefined ? declared : Importance.critical
    return {
      name: 'shed',
      detects: only,
      enter: (_passage: Passage, visit: GuardVisit): number => {
        if (!only) visit.declared = declared
        if (this.load < 0.25 || !isShed(this.load, early, visit.risk, this.#surroundings.random))
          return verdict.pass
        const percent = Math.round(this.load * 100)
        const finding = {
          step: 'shed',
          rule: 'shed:load',
          text: `This edge is loaded to ${percent} %: requests that count as ${policy.shed} are refused in part.`,
          would: 'The same request when there is less to do, or one that matters more.',
        }
        return visit.refuse(finding, shedRefusals.loaded, only)
      },
    }
  }

  async close(): Promise<void> {
    this.#stop()
  }
}

class ShedMainPart implements MainGuardPart {
  readonly name = 'shed'
  readonly #cells: SharedArrayBuffer
  readonly #workers: number

  constructor({ workers }: MainPartSurroundings) {
    this.#workers = workers
    this.#cells = new SharedArrayBuffer(workers * 4)
  }

  memory(): Readonly<Record<string, SharedArrayBuffer>> {
    return { [shedMemory]: this.#cells }
  }

  workerDied(worker: number): void {
    new LoadCells(this.#cells).write(worker, 0)
  }

  /** Load of each worker, 0..1. */
  status(): Readonly<Record<string, unknown>> {
    const cells = new LoadCells(this.#cells)
    return { load: Array.from({ length: this.#workers }, (_, worker) => cells.read(worker)) }
  }
}

export function createPart(surroundings: GuardSurroundings): GuardPart {
  return new ShedPart(surroundings)
}

export function createMainPart(surroundings: MainPartSurroundings): MainGuardPart {
  return new ShedMainPart(surroundings)
}
