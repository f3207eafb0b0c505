// The machine's clock, the same in every thread and process of one host: `monotonic` counts from boot
// (CLOCK_MONOTONIC), so a deadline that one worker writes into shared memory means the same to all.

import type { Clock } from '../kit/clock.ts'

const offsetUs = Number(process.hrtime.bigint() / 1000n) - Math.round(performance.now() * 1000)

export const hostClock: Clock = {
  monotonic: () => offsetUs + Math.round(performance.now() * 1000),
  wall: () => Date.now() * 1000,
}
