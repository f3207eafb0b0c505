// h2load as a closed-loop load: connections with several streams each. Its summary comes back as numbers. With `http1` the
// same requests over HTTP/1.1.

import { outputOf } from '../lib/processes.ts'

export interface H2load {
  readonly url: string
  readonly requests: number
  readonly connections: number
  readonly streams: number
  readonly core: number
  readonly http1?: boolean
}

export interface H2loadResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly meanUs: number
  readonly maxUs: number
  readonly errors: number
}

const units: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 }

export async function h2load(load: H2load): Promise<H2loadResult> {
  const own = load.http1 ? ['--h1'] : ['-m', String(load.streams)]
  const amount = ['-n', String(load.requests), '-c', String(load.connections)]
  const output = await outputOf(load.core, ['h2load', ...amount, ...own, load.url])
  const counts = /requests: (\d+) total.* (\d+) succeeded/.exec(output)
  const rate = /, ([\d.]+) req\/s/.exec(output)
  const times = /time for request: +\S+ +([\d.]+)(us|ms|s) +([\d.]+)(us|ms|s)/.exec(output)
  if (counts === null || rate === null)
    throw new Error(`h2load gave no result; it wrote:\n${output.slice(-2_000)}`)
  const inUs = (number?: string, unit?: string): number => Number(number) * (units[unit ?? ''] ?? Number.NaN)
  return {
    requests: Number(counts[2]),
    requestsPerSecond: Number(rate[1]),
    maxUs: inUs(times?.[1], times?.[2]),
    meanUs: inUs(times?.[3], times?.[4]),
    errors: Number(counts[1]) - Number(counts[2]),
  }
}
