// What autoscaling obeys: plain data, milliseconds and shares. The file has the defaults.

/**
 * cpu        cores busy, 0..1 of what an instance may use. Instances that have just started don't count.
 * inFlight   requests an instance has at once
 * rate       requests a second that an instance is sent
 * queue      requests (or messages) that wait, for each instance
 */
export type ScaleMetricKind = 'cpu' | 'inFlight' | 'rate' | 'queue'

export interface ScaleMetric {
  readonly kind: ScaleMetricKind
  /** Mean over the instances that is aimed at; above 0. */
  readonly target: number
}

/** At most so many within any `periodMs`: a share of what there was at its beginning, or a number. */
export interface ScaleStep {
  readonly by: 'share' | 'count'
  readonly amount: number
  readonly periodMs: number
}

export interface ScaleDirection {
  /** Of the target: nearer than this, nothing is done. */
  readonly tolerance: number
  /** Upwards the least, downwards the most that was wanted within so long is taken. */
  readonly stabilisationMs: number
  readonly steps: readonly ScaleStep[]
  /** The step that allows most or least; `off`: never in this direction. */
  readonly select: 'most' | 'least' | 'off'
}

/** Bounds for a part of the day, in minutes since midnight UTC; `days`: 0 = Sunday. `from` after `to` goes over midnight. */
export interface ScaleSchedule {
  readonly days: readonly number[]
  readonly fromMinute: number
  readonly toMinute: number
  readonly min: number
  readonly max: number
}

export interface ScaleSettings {
  readonly min: number
  readonly max: number
  readonly metrics: readonly ScaleMetric[]
  /** Between two decisions. */
  readonly syncMs: number
  /** An instance younger than this has no say in `cpu`: starting is work of its own. */
  readonly warmupMs: number
  readonly up: ScaleDirection
  readonly down: ScaleDirection
  readonly schedule: readonly ScaleSchedule[]
  /** Ways down within an hour; null: any number. Ways up are never held back by it. */
  readonly downsPerHourMax: number | null
}
