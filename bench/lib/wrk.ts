// wrk as a closed-loop load: N connections, each with one request in flight. Its summary comes back as numbers.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf } from './processes.ts'

export interface WrkLoad {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  readonly core: number
  readonly method?: 'GET' | 'POST'
  /** Length of the request body in bytes. */
  readonly bodyBytes?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Further Lua: `request = function() ... end`, for loads of many URLs. */
  readonly script?: string
}

export interface WrkResult {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly bytes: number
  readonly p50Us: number
  readonly p99Us: number
  /** Connects, reads, writes and time-outs that failed, and statuses above 399. */
  readonly errors: number
}

const done = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT %d %d %d %f %f %d\\n', summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`

function scriptOf(load: WrkLoad): string {
  const headers = Object.entries(load.headers ?? {}).map(
    ([name, value]) => `wrk.headers['${name}'] = '${value}'`,
  )
  const body = load.bodyBytes ? [`wrk.body = string.rep('x', ${load.bodyBytes})`] : []
  return [`wrk.method = '${load.method ?? 'GET'}'`, ...headers, ...body, load.script ?? '', done].join('\n')
}

/** @param folder where the script may be written. */
export async function wrk(load: WrkLoad, folder: string): Promise<WrkResult> {
  const script = join(folder, 'wrk.lua')
  writeFileSync(script, scriptOf(load))
  const args = [
    '-t1',
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    '-s',
    script,
    '--timeout',
    '10s',
    load.url,
  ]
  const output = await outputOf(load.core, ['wrk', ...args])
  const numbers = /^RESULT (.*)$/m.exec(output)?.[1]?.split(' ').map(Number)
  if (!numbers) throw new Error(`wrk gave no result; it wrote:\n${output}`)
  const [requests = 0, durationUs = 1, bytes = 0, p50Us = 0, p99Us = 0, errors = 0] = numbers
  return { requests, requestsPerSecond: requests / (durationUs / 1e6), bytes, p50Us, p99Us, errors }
}
