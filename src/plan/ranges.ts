// Low, typical, high: each uncertain input is moved alone, up and down by what its kind deserves, and the logarithms of what
// that does to a figure are added in quadrature (propagation of independent errors: GUM 5.1.2). The same runs say what a
// figure depends on most: its elasticity, per cent for per cent.

import type { Quantity } from './quantity.ts'
import type { Figure, Term } from './sheet.ts'

export interface Run {
  readonly figures: readonly Figure[]
  readonly inputs: readonly Term[]
}

export interface Influence {
  readonly path: string
  /** By how many per cent the figure changes when the input does by one. */
  readonly elasticity: number
  /** What the figure is when the input alone is at the end of its own range. */
  readonly low: number
  readonly high: number
}

interface Moved {
  readonly path: string
  readonly factor: number
  readonly down: ReadonlyMap<string, number | null>
  readonly up: ReadonlyMap<string, number | null>
}

export interface Varied {
  readonly quantities: readonly Quantity[]
  readonly moved: readonly Moved[]
}

/** What a person knows, and does not estimate: wishes, sizes of machines, shapes. */
const exact =
  /^workload\.(?:targets|retention|peak$|growth|machine\.(?:cores|memory|disk|network|zones)|services\.[^.]+\.(?:concurrency|memory)|databases\.[^.]+\.(?:cores|size)|caches\.[^.]+\.(?:entries|ttl))/
const inputsMax = 1000

/** Between which factors of its value an input is likely to lie: 1.2 is ÷1.2 to ×1.2. 1: it is known. */
function spreadOf({ from, value }: Term, calibrated: boolean): number {
  if (value === 0 || value === null || from.kind === 'option') return 1
  if (from.kind === 'price') return 1.2
  if (!from.path.startsWith('workload.')) return 1
  if (from.path === 'workload.peak') return from.kind === 'assumed' ? 1.5 : 1.2
  if (exact.test(from.path)) return 1
  const measured = calibrated && /\.(?:time|read|write|apply|hitRatio)$/.test(from.path)
  return measured ? 1.1 : from.kind === 'assumed' ? 2 : 1.2
}

export function rangesOf(
  base: Run,
  run: (factors: ReadonlyMap<string, number>) => Run,
  calibrated: boolean,
): Varied {
  const moved: Moved[] = []
  for (const term of base.inputs.slice(0, inputsMax)) {
    const { path } = term.from
    const factor = spreadOf(term, calibrated)
    if (factor === 1) continue
    const values = (one: Run): ReadonlyMap<string, number | null> =>
      new Map(one.figures.map(figure => [figure.id, figure.value]))
    moved.push({
      path,
      factor,
      down: values(run(new Map([[path, 1 / factor]]))),
      up: values(run(new Map([[path, factor]]))),
    })
  }
  return { quantities: base.figures.map(figure => withRange(figure, moved)), moved }
}

function withRange(figure: Figure, moved: readonly Moved[]): Quantity {
  const { value, unit } = figure
  // Of what is nearly always up, the time down is what errs.
  const of = (v: number): number => (unit === 'availability' ? 1 - v : v)
  if (value === null || !(of(value) > 0)) return { ...figure, low: null, high: null }
  let below = 0
  let above = 0
  for (const { down, up } of moved) {
    const logs = [down.get(figure.id), up.get(figure.id)].map(v =>
      v === null || v === undefined || !(of(v) > 0) ? 0 : Math.log(of(v) / of(value)),
    )
    below += Math.min(0, ...logs) ** 2
    above += Math.max(0, ...logs) ** 2
  }
  if (below === 0 && above === 0) return { ...figure, low: null, high: null }
  const ends = [of(value) * Math.exp(-Math.sqrt(below)), of(value) * Math.exp(Math.sqrt(above))].map(v => {
    const end =
      unit === 'availability'
        ? 1 - Math.min(1, v)
        : unit === 'share' && value <= 1 && /hits$/.test(figure.id)
          ? Math.min(1, v)
          : v
    return unit === 'count' ? Math.round(end) : end
  })
  return { ...figure, low: Math.min(...ends), high: Math.max(...ends) }
}

/** Inputs that a figure depends on, the strongest first; those without effect are left out. */
export function influencesOf({ quantities, moved }: Varied, id: string): Influence[] {
  const value = quantities.find(one => one.id === id)?.value
  if (!value) return []
  return moved
    .flatMap(({ path, factor, down, up }): Influence[] => {
      const [low, high] = [down.get(id), up.get(id)]
      if (!low || !high) return []
      const elasticity = Math.log(high / low) / (2 * Math.log(factor))
      return Math.abs(elasticity) < 0.005 ? [] : [{ path, elasticity, low, high }]
    })
    .sort((a, b) => Math.abs(b.elasticity) - Math.abs(a.elasticity))
}
