// Statements since the start, by kind and by the role of the server that took them: how many, how many failed, how long.

import { createHistograms, type Distribution, type Histograms } from '../../kit/histogram.ts'
import type { StatementKind } from '../sql/contract.ts'

const kinds: readonly StatementKind[] = [
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'ddl',
  'copy',
  'call',
  'transaction',
  'session',
  'explain',
  'other',
]
const rowOf: ReadonlyMap<string, number> = new Map(kinds.map((kind, index) => [kind, index * 2]))

export interface StatementClass {
  readonly kind: StatementKind
  readonly server: 'primary' | 'replica'
  readonly count: number
  readonly errors: number
  readonly latency: Distribution
}

export class StatementCounts {
  readonly #histograms: Histograms = createHistograms(kinds.length * 2)
  readonly #counts = new Float64Array(kinds.length * 2)
  readonly #errors = new Float64Array(kinds.length * 2)

  record(kind: StatementKind, onPrimary: boolean, tookUs: number, failed: boolean): void {
    const row = (rowOf.get(kind) as number) + (onPrimary ? 0 : 1)
    this.#counts[row]!++
    if (failed) this.#errors[row]!++
    this.#histograms.record(row, tookUs)
  }

  /** Those that have come at all. */
  *classes(): Iterable<StatementClass> {
    for (const [index, kind] of kinds.entries()) {
      for (const server of ['primary', 'replica'] as const) {
        const row = index * 2 + (server === 'primary' ? 0 : 1)
        const count = this.#counts[row] as number
        if (count === 0) continue
        yield {
          kind,
          server,
          count,
          errors: this.#errors[row] as number,
          latency: this.#histograms.read([row]),
        }
      }
    }
  }
}
