// The part of a run that counts: from the end of the warm-up to the end, in equal batches of time.

export interface Window {
  readonly fromUs: number
  readonly toUs: number
  readonly batches: number
}
