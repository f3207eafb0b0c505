// The engine of the simulator: what models are made with.

export { Arrivals, never, type TraceCounts } from './arrivals.ts'
export {
  Engine,
  type EngineOptions,
  type EventCode,
  type EventId,
  type Handler,
  Priority,
  timeMax,
} from './engine.ts'
export { Law } from './laws.ts'
export { Zipf } from './popularity.ts'
export { BatchedValues, type Estimate, estimate, Sketch, TimeAverage, trend } from './statistics.ts'
export { Stream } from './streams.ts'
