// The keys of a route by which the edge serves and squeezes bytes: `files` and `compress`.

import type { CheckedAction, CheckedCompress } from './checked.ts'
import { headerValue } from './headers.ts'
import { fixedPrefix } from './patterns.ts'
import { either, into, listOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, flag, leaf, Refused, type Schema, size, text } from './values.ts'

type FilesAction = Extract<CheckedAction, { kind: 'files' }>

/** `files` before the route's path is known. */
export type ParsedFiles = Omit<FilesAction, 'kind' | 'prefix'> & { readonly strip: boolean }

const root = filePath('The folder: nothing outside of it is ever served')
const fileName = text('The name of a file.', 'a file name without /', {
  pattern: /^[^/\\]+$/,
  lengthMax: 255,
})

const filesDefaults: Omit<ParsedFiles, 'root'> = {
  strip: true,
  index: ['index.html'],
  precompressed: true,
  cacheControl: 'no-cache',
  immutable: false,
  dotFiles: false,
}

export const files: Schema<ParsedFiles> = either(
  'Serves files of a folder.',
  into(root, (folder): ParsedFiles => ({ root: folder, ...filesDefaults })),
  into(
    strict(
      {
        root,
        strip: flag(
          "Takes the pattern's fixed beginning off the path: with `path: '/assets/*'`, `/assets/a.css` is `a.css` of the folder. `false`: `assets/a.css`.",
        ).prefault(true),
        index: listOf('What a folder is answered with: the first that is there.', fileName, 10).prefault([
          'index.html',
        ]),
        spa: flag('Paths without a file and without an extension get `/index.html` (200).').optional(),
        fallback: text('Like `spa`, with another file.', 'a path that begins with /', {
          pattern: /^\/[^\s?#\\]*$/,
        }).optional(),
        precompressed: flag('Uses `a.js.zst`, `a.js.br` and `a.js.gz` beside `a.js`.').prefault(true),
        cacheControl: headerValue
          .meta({
            description:
              'Cache-Control of the files. The default: browsers keep them, and ask each time whether they are still right.',
          })
          .prefault('no-cache') as Schema<string>,
        immutable: flag(
          'Files with a content hash in their names (`app-3f9a1c2b.js`) are kept for a year.',
        ).prefault(false),
        dotFiles: flag('Serves names that begin with a dot, too.').prefault(false),
      },
      {
        about: 'A folder with settings.',
        elsewhere: {
          directory: "Did you mean 'root'?",
          path: "Did you mean 'root'?",
          tryFiles: "Did you mean 'spa' or 'fallback'?",
          try_files: "Did you mean 'spa' or 'fallback'?",
          maxAge: "Write cacheControl: 'max-age=3600'.",
          expires: "Write cacheControl: 'max-age=3600'.",
          autoindex: 'Folders are never listed.',
          gzip: "'compress' is a key of the route.",
        },
      },
    ),
    ({ spa, fallback, cacheControl, ...keys }): ParsedFiles | Refused => {
      if (spa !== undefined && fallback !== undefined)
        return new Refused("has both 'spa' and 'fallback'", "Keep one: 'spa' is fallback: '/index.html'.")
      const last = spa === true ? '/index.html' : fallback
      return {
        ...keys,
        ...(last === undefined ? {} : { fallback: last }),
        ...(cacheControl === '' ? {} : { cacheControl }),
      }
    },
  ),
)

/** For `/robots.txt` the prefix is `/`: the name is what is looked for. */
export function filesAction(path: string, { strip, ...keys }: ParsedFiles): FilesAction {
  const fixed = fixedPrefix(path)
  const folder = fixed.slice(0, fixed.lastIndexOf('/')) || '/'
  const exact = !path.endsWith('/*') && !path.includes('/:')
  return { kind: 'files', prefix: strip ? (exact ? folder : fixed) : '/', ...keys }
}

const encodings = ['zstd', 'br', 'gzip'] as const

const mediaType = leaf<string>({
  about: 'A media type.',
  allowed: "a media type such as 'text/html' or 'text/*', of at most 100 characters",
  json: { type: 'string', minLength: 3, maxLength: 100 },
  parse: value => {
    if (typeof value !== 'string' || value.length > 100) return undefined
    if (value.includes(';'))
      return new Refused('has parameters', 'Leave them out: only the type is compared.')
    return /^[\w.+-]+\/(?:[\w.+-]+|\*)$/.test(value) ? value.toLowerCase() : undefined
  },
})

const compressDefaults: CheckedCompress = {
  encodings,
  bytesMin: 1024,
  types: [
    'text/*',
    'application/json',
    'application/javascript',
    'application/xml',
    'application/manifest+json',
    'application/ld+json',
    'application/problem+json',
    'application/xhtml+xml',
    'application/rss+xml',
    'application/atom+xml',
    'application/wasm',
    'application/graphql-response+json',
    'image/svg+xml',
    'image/x-icon',
    'image/bmp',
    'font/ttf',
    'font/otf',
  ],
  level: 'balanced',
}

export const compress: Schema<CheckedCompress | undefined> = either(
  'Compresses answers on the way, where the client takes it and nothing forbids it. Not for answers that hold a secret beside what a client sent (BREACH). Left out: no.',
  into(flag('With the defaults, or not at all.'), on => (on ? compressDefaults : undefined)),
  into(
    strict(
      {
        encodings: listOf('Which, the preferred first.', choice('An encoding.', encodings), 3, 1).prefault([
          ...encodings,
        ]),
        min: size('Answers that are known to be smaller pass as they are.', '0B', '1GB').prefault('1KB'),
        types: listOf('Content types that are compressed.', mediaType, 200, 1).prefault([
          ...compressDefaults.types,
        ]),
        level: choice('CPU time against size.', ['fast', 'balanced', 'small']).prefault('balanced'),
      },
      {
        about: 'With settings.',
        elsewhere: {
          gzip: "Write encodings: ['gzip'].",
          brotli: "Write encodings: ['br'].",
          minLength: "Did you mean 'min'?",
          mimeTypes: "Did you mean 'types'?",
        },
      },
    ),
    (keys): CheckedCompress | Refused =>
      new Set(keys.encodings).size === keys.encodings.length
        ? {
            encodings: keys.encodings,
            bytesMin: keys.min,
            types: [...new Set(keys.types)],
            level: keys.level,
          }
        : new Refused('names an encoding twice', 'Keep one of them.'),
  ),
)
