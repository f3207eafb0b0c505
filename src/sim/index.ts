// What other layers use of the simulator.

export type { Estimate, TraceCounts } from './core/index.ts'
export { compareLines, compareResults, type Difference } from './report/compare.ts'
export { digits, grouped, shareText, timeText, timeWithin } from './report/figures.ts'
export { htmlReport } from './report/html.ts'
export { decisionLine, methodText, type SummaryOptions, summaryLines } from './report/summary.ts'
export * from './result.ts'
export { defaultRehearsal } from './system/default-rehearsal.ts'
export { faultText } from './system/faults.ts'
export { enlarged, type SampledSystem, sampled } from './system/sampled.ts'
export { Shrinker } from './system/shrink.ts'
export { Simulation, type SimulationOptions } from './system/simulation.ts'
