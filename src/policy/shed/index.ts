// What others use of shedding: classes, load, and the line of those who wait.

export {
  doubtfulRisk,
  Importance,
  type ImportanceCode,
  type ImportanceName,
  importanceNames,
  importanceOf,
  placesFor,
  reserveHeldUs,
} from './importance.ts'
export { type LineSettings, lineSettings, type Waiting, WaitingLine } from './line.ts'
export { isShed, loopLoad, shedShare, smoothedLoad, upstreamLoad } from './load.ts'
