// h2load as a closed-loop load: connections with several streams each. Its summary comes back as numbers. With `http1` the
// same requests over HTTP/1.1.

import { spawn } from 'node:child_process'

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
  const command = [
    '-c',
    String(load.core),
    'h2load',
    '-n',
    String(load.requests),
    '-c',
    String(load.connections),
  ]
  command.push(...(load.http1 ? ['--h1'] : ['-m', String(load.streams)]), load.url)
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
    child.once('error', reject).once('close', () => resolve(text))
  })
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
