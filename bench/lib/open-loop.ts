// A load with a fixed rate: requests are due at their times whether or not earlier ones were answered, so a slow
// server gets no mercy (no coordinated omission). Run as a program of its own, pinned like wrk:
//   node open-loop.ts PORT RATE SECONDS CONNECTIONS PATH   ->   one line of JSON
//
// A tick is a millisecond; what is due in a tick is sent in it on a free connection and its latency counts from the
// tick. Without a free connection it waits, and the wait counts. How late ticks came is told apart.

import { connect, type Socket } from 'node:net'
import { boundedQueue } from '../../src/kit/bounded-queue.ts'
import { createHistograms } from '../../src/kit/histogram.ts'

export interface OpenLoopResult {
  readonly requests: number
  readonly errors: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** 99th percentile of how late the generator itself was. */
  readonly lateP99Us: number
  readonly unsent: number
}

interface Lane {
  readonly socket: Socket
  dueAt: number
  /** Bytes of the response still missing; -1 while its head is incomplete. */
  missing: number
  head: string
}

const tickMs = 1

function nowUs(): number {
  return performance.now() * 1000
}

function run(
  port: number,
  rate: number,
  seconds: number,
  connections: number,
  path: string,
): Promise<OpenLoopResult> {
  const histograms = createHistograms(2)
  const free: Lane[] = []
  const waiting = boundedQueue<number>(rate * seconds)
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
  let errors = 0
  let answered = 0

  function send(lane: Lane, dueAt: number): void {
    lane.dueAt = dueAt
    lane.missing = -1
    lane.head = ''
    lane.socket.write(request)
  }

  function finish(lane: Lane): void {
    histograms.record(0, nowUs() - lane.dueAt)
    answered++
    const next = waiting.shift()
    if (next === undefined) free.push(lane)
    else send(lane, next)
  }

  function onData(lane: Lane, chunk: Buffer): void {
    if (lane.missing >= 0) lane.missing -= chunk.length
    else {
      lane.head += chunk.toString('latin1')
      const end = lane.head.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(lane.head.slice(0, end + 2))
      if (!length || !/^HTTP\/1\.1 200/.test(lane.head)) errors++
      lane.missing = Number(length?.[1] ?? 0) - (lane.head.length - end - 4)
    }
    if (lane.missing <= 0) finish(lane)
  }

  function open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      const lane: Lane = { socket, dueAt: 0, missing: 0, head: '' }
      socket.once('connect', () => {
        free.push(lane)
        resolve()
      })
      socket.on('data', (chunk: Buffer) => onData(lane, chunk))
      socket.on('error', error => {
        errors++
        reject(error)
      })
    })
  }

  async function drive(): Promise<OpenLoopResult> {
    for (let index = 0; index < connections; index++) await open()
    const began = nowUs()
    const total = Math.round(rate * seconds)
    let sent = 0
    await new Promise<void>(resolve => {
      let tickDue = began
      const tick = (): void => {
        const now = nowUs()
        histograms.record(1, now - tickDue)
        const due = Math.min(total, Math.floor(((now - began) / 1e6) * rate))
        for (; sent < due; sent++) {
          const lane = free.pop()
          if (lane) send(lane, now)
          else waiting.push(now)
        }
        tickDue = now + tickMs * 1000
        const over = now - began > seconds * 1e6 + 2e6
        if (over || (sent >= total && answered >= total)) resolve()
        else setTimeout(tick, tickMs)
      }
      tick()
    })
    const latency = histograms.read([0])
    return {
      requests: latency.count,
      errors,
      p50Us: latency.quantile(0.5),
      p99Us: latency.quantile(0.99),
      p999Us: latency.quantile(0.999),
      maxUs: latency.max,
      lateP99Us: histograms.read([1]).quantile(0.99),
      unsent: total - latency.count,
    }
  }
  return drive()
}

if (import.meta.main) {
  const [port = '0', rate = '0', seconds = '0', connections = '0', path = '/'] = process.argv.slice(2)
  const result = await run(Number(port), Number(rate), Number(seconds), Number(connections), path)
  console.log(JSON.stringify(result))
  process.exit(0)
}
