// The keys `waf` and `uploads` of a policy: which rules look at requests and answers, what they do, and which files may
// be sent. Rules are the guard's; here is how they are chosen.

import type { CheckedUploads, CheckedWaf } from './checked-guard.ts'
import { either, into, listOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, flag, leaf, off, Refused, type Schema, size, text, whole } from './values.ts'

const exclusionPattern =
  /^(?:\d{1,9}(?:-\d{1,9})?|tag:[A-Za-z0-9_./-]{1,200})(?:;[A-Z_]{2,40}(?::[^\s;]{1,200})?)?$/

const exclusion: Schema<string> = leaf<string>({
  about: 'A rule that is off here.',
  allowed:
    "a rule such as '942100', '942000-942999' or 'tag:attack-sqli', also for one variable only ('941100;ARGS:bio'), of at most 400 characters",
  json: { type: 'string', minLength: 1, maxLength: 400, pattern: exclusionPattern.source },
  parse: value => {
    if (typeof value === 'number') return new Refused('is not a text', `Put it in quotes: '${value}'.`)
    if (typeof value !== 'string' || value.length > 400) return undefined
    const [from, to] = /^(\d+)-(\d+)/.exec(value)?.slice(1).map(Number) ?? []
    if (from !== undefined && to !== undefined && from > to)
      return new Refused('ends before it begins', `Write '${to}-${from}'.`)
    return exclusionPattern.test(value) ? value : undefined
  },
})

const mediaPattern = /^(?:[a-z0-9][a-z0-9!#$&^_.+-]{0,100}\/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,100}))$/

const mediaType = (about: string): Schema<string> =>
  leaf<string>({
    about,
    allowed: "a media type such as 'image/png' or 'image/*', of at most 200 characters",
    json: { type: 'string', minLength: 3, maxLength: 200 },
    parse: value => {
      if (typeof value !== 'string' || value.length > 200) return undefined
      if (value === '*/*') return new Refused('is every type', 'Name those that are meant.')
      const lower = value.toLowerCase()
      return mediaPattern.test(lower) ? lower : undefined
    },
  })

const rulesFrom: Schema<CheckedWaf['rules']> = either(
  "Whose rules: Tenfold's own, or files or folders in SecLang, such as those of the OWASP Core Rule Set as they are.",
  into(
    leaf<string>({
      about: "`'builtin'`, or a file or folder.",
      allowed: "'builtin', or a path of at most 4096 characters",
      json: { type: 'string', minLength: 1, maxLength: 4096 },
      parse: value => {
        if (typeof value !== 'string' || value === '' || value.length > 4096) return undefined
        return /[\x00-\x1f\x7f]/.test(value) ? new Refused('holds a control character') : value
      },
    }),
    word => (word === 'builtin' ? word : [word]) as CheckedWaf['rules'],
  ),
  listOf('Several, in order.', filePath('A file or folder of rules'), 50, 1),
)

const wafKeys = {
  rules: rulesFrom.prefault('builtin'),
  // It looks first: what it would refuse is seen before anybody is.
  mode: choice('`detect` only records what `block` refuses.', ['detect', 'block']).prefault('detect'),
  paranoia: into(
    whole('How strict: 1 for every site, up to 4 with many false alarms.', 1, 4),
    level => level as CheckedWaf['paranoia'],
  ).prefault(1),
  inboundThreshold: whole(
    'Anomaly score at which a request is refused: one critical rule counts 5, an error 4, a warning 3, a notice 2.',
    1,
    1000,
  ).prefault(5),
  outboundThreshold: whole('The same for answers.', 1, 1000).prefault(4),
  exclude: listOf('Rules that are off here.', exclusion, 1000).prefault([]),
  // What ModSecurity looks at of bodies without files.
  bodyMax: size(
    'Bytes of a body that are held and looked at; a longer one is refused in mode `block`, and passes unread in mode `detect`.',
    '1KB',
    '64MB',
  ).prefault('128KB'),
  unreadTypes: listOf(
    'Types of bodies that pass unread. Others that cannot be parsed are refused in mode `block`.',
    mediaType('A type.'),
    100,
  ).prefault([]),
  responses: flag(
    'Answers are held and looked at for leaks too: stack traces, errors of databases, keys.',
  ).prefault(false),
  responseMax: size('Bytes of an answer that are looked at.', '1KB', '16MB').prefault('512KB'),
}

const wafObject: Schema<CheckedWaf> = into(
  strict(wafKeys, {
    about: 'With settings.',
    elsewhere: {
      engine: "Did you mean 'mode'?",
      block: "Write mode: 'block'.",
      detectOnly: "Write mode: 'detect'.",
      crs: "Name its folder: rules: ['/usr/share/modsecurity-crs'].",
      level: "Did you mean 'paranoia'?",
      threshold: "Did you mean 'inboundThreshold' or 'outboundThreshold'?",
      exclusions: "Did you mean 'exclude'?",
      disable: "Did you mean 'exclude'?",
      ignore: "Did you mean 'exclude'?",
      uploads: "'uploads' stands beside 'waf'.",
      limit: "'limit' stands beside 'waf'. Did you mean 'bodyMax'?",
      response: "Did you mean 'responses'?",
    },
  }),
  keys => ({
    rules: keys.rules,
    mode: keys.mode,
    paranoia: keys.paranoia,
    inboundThreshold: keys.inboundThreshold,
    outboundThreshold: keys.outboundThreshold,
    exclude: [...new Set(keys.exclude)],
    bodyBytesMax: keys.bodyMax,
    unreadTypes: [...new Set(keys.unreadTypes)],
    responses: keys.responses,
    responseBytesMax: keys.responseMax,
  }),
)

const defaults = (mode: 'detect' | 'block'): CheckedWaf => wafObject.parse({ mode })

export const waf: Schema<CheckedWaf | undefined> = either(
  'The web application firewall: `true` or `detect` records what its rules find, `block` refuses it, `false` leaves it out.',
  either<CheckedWaf | undefined, CheckedWaf | undefined>(
    'In short.',
    into(flag('Records, or not there.'), on => (on ? defaults('detect') : undefined)),
    into(choice('What it does.', ['detect', 'block']), mode => defaults(mode)),
  ),
  wafObject as Schema<CheckedWaf | undefined>,
)

const uploadTypes = listOf(
  'Types of files, by their first bytes and as declared. Empty: no files.',
  mediaType('A type.'),
  100,
)

const uploadsObject: Schema<CheckedUploads> = into(
  strict(
    {
      types: uploadTypes,
      max: size('Largest file.', '1B', '64MB').prefault('10MB'),
      count: whole('Files in one request.', 1, 1000).prefault(10),
    },
    {
      about: 'With bounds.',
      elsewhere: {
        size: "Did you mean 'max'?",
        allow: "Did you mean 'types'?",
        files: "Did you mean 'count'?",
      },
    },
  ),
  keys => ({ types: [...new Set(keys.types)], bytesMax: keys.max, countMax: keys.count }),
)

export const uploads: Schema<CheckedUploads> = either(
  "Files in forms (multipart): a list of types such as `['image/*']`, with bounds, or `false` for none. Left out: any.",
  either<CheckedUploads, CheckedUploads>(
    'In short.',
    into(off('None.'), () => uploadsObject.parse({ types: [] })),
    into(uploadTypes, types => uploadsObject.parse({ types })),
  ),
  uploadsObject,
)

/** Of `title` and the like: one line that people read. */
export const lineOfText = (about: string, lengthMax: number): Schema<string> =>
  text(about, 'a text', { lengthMax })
