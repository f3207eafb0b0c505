// The estimator: what the rest of Tenfold may use of it.

export type { PlanOptions } from './context.ts'
export { downtime, kOfN, nines, parallel, series } from './formulas/index.ts'
export type { Break, Step } from './limits.ts'
export { type Have, type Plan, type PlanProblem, planOf, type Unstable } from './plan.ts'
export { type Prices, pricesOf } from './prices.ts'
export { type Input, type Origin, type Quantity, type Section, sections, type Unit } from './quantity.ts'
export type { Influence } from './ranges.ts'
export { digits, timeText, valueText } from './words.ts'
