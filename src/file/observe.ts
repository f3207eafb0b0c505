// The keys of `edge` by which requests are looked at: `tracing`, `slowLog`, `serverTiming`, and the access log.

import type { CheckedEdge, CheckedTracing } from './checked.ts'
import { defined, either, into, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, duration, flag, leaf, Refused, type Schema, text } from './values.ts'

export const accessLog: Schema<CheckedEdge['accessLog']> = either(
  'JSON lines, one a request: `true` = `logs/access.log` in the state directory, or a file. `false`: none.',
  into(flag('On or off.'), on => (on ? { file: null } : null) as CheckedEdge['accessLog']),
  into(
    text("A file, relative to the system file's folder.", 'a path', { lengthMax: 4096 }),
    file => ({ file }) as CheckedEdge['accessLog'],
  ),
)

/** A part of the whole as `'5%'` or a number from 0 to 1. Gives the number. */
export function share(about: string): Schema<number> {
  return leaf({
    about,
    allowed: "a share such as '5%' (from 0% to 100%), or a number from 0 to 1",
    json: {
      anyOf: [
        { type: 'number', minimum: 0, maximum: 1 },
        { type: 'string', pattern: '^\\d{1,3}(?:\\.\\d{1,4})?%$' },
      ],
    },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a type.
    type: 'number | `${number}%`',
    parse: value => {
      if (typeof value === 'number') {
        if (value > 1 && value <= 100) return new Refused('is above 1', `Write '${value}%'.`)
        return value >= 0 && value <= 1 ? value : undefined
      }
      const match = typeof value === 'string' ? /^(\d{1,3}(?:\.\d{1,4})?)%$/.exec(value) : null
      if (!match) return undefined
      const percent = Number(match[1])
      return percent <= 100 ? Number((percent / 100).toFixed(6)) : new Refused('is above 100%')
    },
  })
}

const endpoint = leaf<string>({
  about: 'Where traces are sent (OTLP over HTTP, JSON). Without a path: `/v1/traces`.',
  allowed: "a URL such as 'http://127.0.0.1:4318', of at most 2048 characters",
  json: { type: 'string', minLength: 1, maxLength: 2048, pattern: '^https?://' },
  parse: value => {
    if (typeof value !== 'string' || value.length > 2048) return undefined
    const match = /^(https?:\/\/([^\s/?#]+))(\/[!-~]*)?$/.exec(value)
    if (!match) return undefined
    if (match[2]?.includes('@'))
      return new Refused('holds a user or password', "Put an 'authorization: ...' line into 'headersFile'.")
    return match[3] === undefined || match[3] === '/' ? `${match[1]}/v1/traces` : value
  },
})

/** `tracing` before the system's name is known. */
export type ParsedTracing = Omit<CheckedTracing, 'serviceName'> & { readonly serviceName?: string }

const tracingOf = (keys: {
  endpoint: string
  sample: number
  service?: string | undefined
  headersFile?: string | undefined
}): ParsedTracing =>
  defined({
    endpoint: keys.endpoint,
    serviceName: keys.service,
    sampleShare: keys.sample,
    headersFile: keys.headersFile,
  })

export const tracing: Schema<ParsedTracing> = either(
  'OpenTelemetry traces. Left out: none are made.',
  into(endpoint, url => tracingOf({ endpoint: url, sample: 0.01 })),
  into(
    strict(
      {
        endpoint,
        sample: share(
          "Share of the traces that begin here which are made; one that a trusted proxy began keeps that proxy's choice.",
        ).prefault('1%'),
        service: text("`service.name` of the spans. Left out: the system's name.", 'a name', {
          lengthMax: 200,
        }).optional(),
        headersFile: filePath(
          'A file with header lines for the collector (`authorization: Bearer ...`)',
        ).optional(),
      },
      {
        about: 'With settings.',
        elsewhere: {
          url: "Did you mean 'endpoint'?",
          ratio: "Did you mean 'sample'?",
          headers: "Write them into a file, and name it by 'headersFile': they are secrets.",
        },
      },
    ),
    tracingOf,
  ),
)

type SlowLog = NonNullable<CheckedEdge['slowLog']>
const threshold = duration('Requests that take longer are written down.', '1ms', '1h')

export const slowLog: Schema<SlowLog | undefined> = either(
  'Requests that take long, with the time of each phase, as JSON lines: a duration, or `true` for 1s. Left out: none.',
  into(flag('On or off.'), on => (on ? { file: null, thresholdMs: 1000 } : undefined) as SlowLog | undefined),
  either(
    'From when on.',
    into(threshold, (thresholdMs): SlowLog => ({ file: null, thresholdMs })),
    into(
      strict(
        {
          threshold: threshold.prefault('1s'),
          file: text(
            "The file, relative to the system file's folder. Left out: `logs/slow.log` in the state directory.",
            'a path',
            { lengthMax: 4096 },
          ).optional(),
        },
        { about: 'With settings.' },
      ),
      (keys): SlowLog => ({ file: keys.file ?? null, thresholdMs: keys.threshold }),
    ),
  ),
)

export const serverTiming: Schema<'asked' | 'always' | undefined> = either(
  "`Server-Timing` in answers, with the edge's and the instance's part of the time. `'asked'`: where the request has `X-Server-Timing: 1`. Left out: never.",
  into(flag('`true` is `asked`.'), on => (on ? 'asked' : undefined)),
  choice('When.', ['asked', 'always']),
)
