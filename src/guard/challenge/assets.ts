// What the challenge's pages load, all from this host: our script and style, and ALTCHA's widget, worker and texts from its
// npm package. Read once, packed once; a browser may keep them, since their addresses change with the widget's version.

import { textOf } from '../../io/owned-files.ts'
import { packageFolder } from '../../io/packages.ts'
import { packWhole } from '../../io/zlib.ts'
import { Failure } from '../../kit/failure.ts'
import { challengeFailures } from './failures.ts'
import { pageScript, pageStyle } from './page-text.ts'
import { languages, widgetLanguage } from './texts.ts'

export interface Asset {
  readonly contentType: string
  readonly plain: Buffer
  /** By gzip; empty: not worth it. */
  readonly packed: Buffer
}

export interface Assets {
  readonly version: string
  readonly byName: ReadonlyMap<string, Asset>
}

const script = 'text/javascript; charset=utf-8'
const style = 'text/css; charset=utf-8'

/** @param from address of a module: where packages are looked for. @throws Failure when the widget's package is not installed. */
export async function loadAssets(from: string = import.meta.url): Promise<Assets> {
  const folder = packageFolder('altcha', from)
  const about = folder === null ? null : textOf(`${folder}/package.json`)
  if (folder === null || about === null) throw missing('altcha')
  const { version } = JSON.parse(about) as { version: string }
  const files: [name: string, contentType: string, text: string][] = [
    ['page.js', script, pageScript],
    ['page.css', style, pageStyle],
    ['widget.js', script, fileOf(folder, 'dist/external/altcha.min.js')],
    ['widget.css', style, fileOf(folder, 'dist/external/altcha.css')],
    ['worker.js', script, fileOf(folder, 'dist/workers/pbkdf2.js')],
    ...languages.map((language): [string, string, string] => [
      `text-${language}.js`,
      script,
      fileOf(folder, `dist/i18n/${widgetLanguage(language)}.js`),
    ]),
  ]
  const loaded = await Promise.all(
    files.map(async ([name, type, text]) => [name, await assetOf(type, text)] as const),
  )
  return { version, byName: new Map(loaded) }
}

function fileOf(folder: string, path: string): string {
  const text = textOf(`${folder}/${path}`)
  if (text === null) throw missing(`altcha/${path}`)
  return text
}

function missing(what: string): Failure {
  return new Failure(challengeFailures.widgetMissing, `${what} is not installed; challenges need it.`)
}

async function assetOf(contentType: string, text: string): Promise<Asset> {
  const bytes = Buffer.from(text)
  const packed = await new Promise<Buffer | null>(resolve => packWhole('gzip', 'small', bytes, resolve))
  return { contentType, plain: bytes, packed: packed ?? Buffer.alloc(0) }
}
