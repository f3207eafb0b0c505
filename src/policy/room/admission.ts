// How many people a room lets in: a token bucket on the people a minute. Exact in integers: in no 60 seconds (half-open)
// are more than `perMinute` let in, whatever the moments at which it is asked. Time is integer microseconds.
//
// Why: a window sees at most what was in the bucket, 1 + perMinute/200, and less than what comes in a minute,
// perMinute - perMinute/200; together less than perMinute + 1. The share of 1/200 lets a room that is asked every 300 ms
// lose nothing of its flow.

/** Of one person, in units of credit: 200 minutes in microseconds, so that all of this is in integers. */
const personCredit = 12_000_000_000
const minuteUs = 60_000_000

export interface AdmissionBucket {
  /** 0 .. `creditMax`. */
  credit: number
  /** When `credit` was counted, monotonic microseconds. */
  at: number
}

/** @param perMinute at most 60 million. */
const creditMax = (perMinute: number): number => personCredit + perMinute * minuteUs

/** People a minute, in the long run: half a per cent less than allowed. */
export function flowOf(perMinute: number): number {
  return (perMinute * 199) / 200
}

/** Empty: what was admitted before is not known, so nobody is let in on credit. */
export function emptyBucket(now: number): AdmissionBucket {
  return { credit: 0, at: now }
}

export function fullBucket(now: number, perMinute: number): AdmissionBucket {
  return { credit: creditMax(perMinute), at: now }
}

/** One person goes in: true, and the credit is spent; or false. */
export function admitOne(bucket: AdmissionBucket, now: number, perMinute: number): boolean {
  const most = creditMax(perMinute)
  // No longer than it takes to fill: products stay safe integers up to 60 million a minute.
  const elapsed = Math.min(Math.max(0, now - bucket.at), Math.ceil(most / (perMinute * 199)))
  bucket.credit = Math.min(most, bucket.credit + elapsed * perMinute * 199)
  bucket.at = Math.max(bucket.at, now)
  if (bucket.credit < personCredit) return false
  bucket.credit -= personCredit
  return true
}
