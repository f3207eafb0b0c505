// A line of the slow-request log: one JSON object with the phases in which a request spent its time. The file is an
// `AccessLog`; which requests are slow decides `watch.ts`.

import { jsonText } from '../wire/otlp.ts'
import type { Exchange } from './exchange.ts'
import type { Watch } from './watch.ts'

const inMs = (us: number): number => Math.round(us / 10) / 100

export function slowLine(exchange: Exchange, watch: Watch, aborted: boolean): string {
  const { head, attempts, route, worker } = exchange
  const phases = watch.phases(exchange)
  const at = new Date(worker.clock.wall() / 1000).toISOString()
  let line = `{"at":"${at}","id":${jsonText(exchange.requestId)}`
  if (watch.trace !== null) line += `,"trace":"${watch.trace.traceId}"`
  line += `,"client":"${exchange.remoteAddress}","method":${jsonText(head.method)},"host":${jsonText(head.authority)},"path":${jsonText(exchange.path)},"status":${exchange.status},"ms":${inMs(phases.total)}`
  line += `,"gatesMs":${inMs(phases.gates)},"queueMs":${inMs(phases.queue)},"retryMs":${inMs(phases.retry)},"connectMs":${inMs(phases.connect)},"firstByteMs":${inMs(phases.firstByte)},"bodyMs":${inMs(phases.body)}`
  line += `,"retries":${attempts.retries},"bytesIn":${exchange.bytesIn},"bytesOut":${exchange.bytesOut}`
  if (route !== null) line += `,"route":${jsonText(route.spec.id)}`
  if (attempts.member >= 0 && attempts.group !== null) {
    const { group, member } = attempts
    line += `,"upstream":${jsonText(group.spec.name)},"member":${jsonText(group.member(member).id)}`
  }
  if (exchange.error !== '') line += `,"error":"${exchange.error}"`
  if (aborted) line += ',"aborted":true'
  return `${line}}\n`
}
