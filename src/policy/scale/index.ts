// Autoscaling, as a decision.

export {
  boundsAt,
  decideScale,
  newScaleState,
  type ScaleObservation,
  type ScalePlan,
  type ScaleState,
} from './scale.ts'
export * from './settings.ts'
