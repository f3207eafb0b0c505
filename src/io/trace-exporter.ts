// Sends the spans that a data plane hands over to a collector, by OTLP/HTTP in its JSON form: nothing ever waits for it. One batch is under way at a time; what comes meanwhile waits within bounds; what does not fit, or
// can't be delivered, is dropped and counted. Says when spans begin to be lost, and when they arrive again.

import { hostname } from 'node:os'
import type { Metrics } from '../kit/metrics.ts'
import type { SpanBatch } from '../kit/span-queue.ts'
import { readHeaderFile } from './header-file.ts'
import { HttpPoster, type PostAnswer } from './http-post.ts'

/** Where spans go, and which are made. */
export interface TracingSpec {
  /** OTLP/HTTP: `http://collector:4318/v1/traces`. */
  readonly endpoint: string
  readonly serviceName: string
  /** Share of traces that begin here, 0..1; one that comes with a traceparent of a trusted caller keeps its flag. */
  readonly sampleShare: number
  /** A file with header lines (`authorization: Bearer ...`) for the collector: secrets stay out of snapshots. */
  readonly headersFile?: string
}

export interface TraceExporterOptions {
  /** Instrumentation scope: `tenfold.edge`; `edge` is the prefix of its metric. */
  readonly scope: string
  readonly component: string
  /** Tells one process from the next. */
  readonly instance: string
  /** The wait before a try, which counts from 1. */
  readonly backoffMs: (attempt: number) => number
  readonly tell: (sentence: string) => void
}

const waitingCharsMax = 16 << 20
const postCharsMax = 2 << 20
const postTimeoutMs = 10_000
const attemptsMax = 6
/** A collector that asks for more is not waited for: the batch is dropped. */
const retryAfterMaxMs = 60_000
/** OTLP 1.x, "Failures": these may be tried again; every other one says that the batch is at fault. */
const retried: ReadonlySet<number> = new Set([429, 502, 503, 504])

type Outcome = 'sent' | 'rejected' | 'dropped'

export class TraceExporter {
  readonly #options: TraceExporterOptions
  readonly #poster = new HttpPoster()
  readonly #counts: Record<Outcome, number> = { sent: 0, rejected: 0, dropped: 0 }
  #spec: TracingSpec | undefined
  #waiting: SpanBatch[] = []
  #waitingChars = 0
  #sending = false
  #closed = false
  #losing = false
  #wake: (() => void) | null = null
  #idle: (() => void)[] = []

  constructor(options: TraceExporterOptions) {
    this.#options = options
  }

  /** The tracing of the snapshot in use. */
  update(spec: TracingSpec | undefined): void {
    this.#spec = spec
    if (spec === undefined) for (const batch of this.#takeAll(Infinity)) this.#count('dropped', batch.count)
  }

  register(metrics: Metrics): void {
    metrics.pull(
      'counter',
      {
        name: `${this.#options.component}_trace_spans_total`,
        help: 'Spans for the collector: sent, rejected by it, or dropped because they did not fit or could not be delivered.',
        labels: ['outcome'],
      },
      () => Object.entries(this.#counts).map(([outcome, value]) => ({ labels: { outcome }, value })),
    )
  }

  take(batch: SpanBatch): void {
    if (
      this.#spec === undefined ||
      this.#closed ||
      this.#waitingChars + batch.text.length > waitingCharsMax
    ) {
      this.#count('dropped', batch.count)
      return
    }
    this.#waiting.push(batch)
    this.#waitingChars += batch.text.length
    if (!this.#sending) void this.#sendAll()
  }

  /** Waits until all is sent or given up, at most `timeoutMs`; then nothing is taken or tried again. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#sending) {
      const idle = new Promise<void>(resolve => this.#idle.push(resolve))
      const late = new Promise<void>(resolve => setTimeout(resolve, timeoutMs).unref())
      await Promise.race([idle, late])
    }
    this.#closed = true
    this.#wake?.()
    this.#poster.close()
  }

  #count(outcome: Outcome, count: number): void {
    this.#counts[outcome] += count
  }

  /** At least one batch where there is any. */
  #takeAll(charsMax: number): SpanBatch[] {
    let chars = 0
    let count = 0
    for (const { text } of this.#waiting) {
      if (count > 0 && chars + text.length > charsMax) break
      chars += text.length
      count++
    }
    this.#waitingChars -= chars
    return this.#waiting.splice(0, count)
  }

  async #sendAll(): Promise<void> {
    this.#sending = true
    while (this.#waiting.length > 0 && !this.#closed) {
      const batches = this.#takeAll(postCharsMax)
      const count = batches.reduce((sum, batch) => sum + batch.count, 0)
      await this.#deliver(batches.map(batch => batch.text).join(','), count)
    }
    this.#sending = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  async #deliver(spans: string, count: number): Promise<void> {
    let trouble = ''
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const spec = this.#spec
      if (spec === undefined) break
      const answer = await this.#post(spec, spans).catch((cause: Error) => cause)
      if (!(answer instanceof Error) && answer.status >= 200 && answer.status < 300) {
        this.#arrived(answer, count)
        return
      }
      trouble = answer instanceof Error ? answer.message : `it answers ${answer.status}`
      if (!(answer instanceof Error) && !retried.has(answer.status)) {
        this.#lost('rejected', count, trouble)
        return
      }
      const asked = answer instanceof Error ? null : answer.retryAfterMs
      if ((asked ?? 0) > retryAfterMaxMs || this.#closed || attempt === attemptsMax) break
      await this.#pause(asked ?? this.#options.backoffMs(attempt))
      if (this.#closed) break
    }
    this.#lost('dropped', count, trouble)
  }

  #post(spec: TracingSpec, spans: string): Promise<PostAnswer> {
    return Promise.resolve().then(() => {
      const own = spec.headersFile === undefined ? {} : readHeaderFile(spec.headersFile)
      const fields = { 'Content-Type': 'application/json', ...own }
      return this.#poster.post(spec.endpoint, fields, this.#body(spec, spans), postTimeoutMs)
    })
  }

  #body(spec: TracingSpec, spans: string): string {
    const resource = [
      ['service.name', spec.serviceName],
      ['service.instance.id', this.#options.instance],
      ['host.name', hostname()],
    ].map(([key, stringValue]) => ({ key, value: { stringValue } }))
    return `{"resourceSpans":[{"resource":{"attributes":${JSON.stringify(resource)}},"scopeSpans":[{"scope":{"name":"${this.#options.scope}"},"spans":[${spans}]}]}]}`
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#wake?.(), ms)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = null
        resolve()
      }
    })
  }

  #arrived(answer: PostAnswer, count: number): void {
    const rejected = Math.min(count, rejectedIn(answer.body))
    this.#count('sent', count - rejected)
    if (rejected > 0) {
      this.#lost('rejected', rejected, 'it rejects some of the spans')
      return
    }
    if (!this.#losing) return
    this.#losing = false
    this.#options.tell('the collector takes spans again')
  }

  #lost(outcome: Outcome, count: number, trouble: string): void {
    this.#count(outcome, count)
    if (this.#losing || trouble === '') return
    this.#losing = true
    this.#options.tell(
      `spans are lost: the collector at ${this.#spec?.endpoint} does not take them: ${trouble}`,
    )
  }
}

/** `partialSuccess.rejectedSpans` of an ExportTraceServiceResponse; 0 where there is none. */
function rejectedIn(body: string): number {
  try {
    const { partialSuccess } = JSON.parse(body) as { partialSuccess?: { rejectedSpans?: unknown } }
    const count = Number(partialSuccess?.rejectedSpans ?? 0)
    return Number.isSafeInteger(count) && count > 0 ? count : 0
  } catch {
    return 0
  }
}
