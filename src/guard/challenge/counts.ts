// What challenges came to, in cells that the workers share: one row a worker, the figure is the sum over rows.

export const challengeCounts = [
  'pages',
  'issued',
  'tickets',
  'passed:pow',
  'passed:turnstile',
  'passed:wait',
  'asked-by-app',
  'failed:malformed',
  'failed:expired',
  'failed:forged',
  'failed:unsolved',
  'failed:other-client',
  'failed:other-action',
  'failed:other-host',
  'failed:other-edge',
  'failed:spent',
  'failed:turnstile',
  'failed:turnstile-away',
  'failed:too-early',
  'failed:over-budget',
  'failed:no-cookie',
] as const
export type ChallengeCount = (typeof challengeCounts)[number]

export function countsBytes(workers: number): number {
  return (workers + 1) * challengeCounts.length * 4
}

export class ChallengeCounts {
  readonly #cells: Uint32Array
  readonly #row: number

  constructor(memory: ArrayBufferLike, index: number) {
    this.#cells = new Uint32Array(memory)
    this.#row =
      Math.min(index, Math.floor(this.#cells.length / challengeCounts.length) - 1) * challengeCounts.length
  }

  add(name: ChallengeCount): void {
    const at = this.#row + challengeCounts.indexOf(name)
    this.#cells[at] = ((this.#cells[at] as number) + 1) >>> 0
  }
}

/** By name, over all workers. */
export function sumOfCounts(memory: ArrayBufferLike): Record<string, number> {
  const cells = new Uint32Array(memory)
  const sums = challengeCounts.map(() => 0)
  for (let i = 0; i < cells.length; i++) {
    const column = i % challengeCounts.length
    sums[column] = (sums[column] as number) + (cells[i] as number)
  }
  return Object.fromEntries(challengeCounts.map((name, column) => [name, sums[column] as number]))
}
