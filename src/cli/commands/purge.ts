// `tenfold purge` and `tenfold push`: what the caches of all edges forget, and what they know ahead of the first request.

import { readFileSync } from 'node:fs'
import { parseDurationMs } from '../../file/values.ts'
import { Failure } from '../../kit/failure.ts'
import type { PushWish } from '../../system/index.ts'
import type { Action, CommandInput } from '../command.ts'
import { clientOf } from '../connection.ts'
import { cliFailures } from '../failures.ts'

const fileBytesMax = 16 * 1024 * 1024

export const purge: Action = async input => {
  const { terminal, json, lists, options } = input
  const { url: urls = [], prefix: prefixes = [], tag: tags = [] } = lists
  const all = options.all === true
  const named = urls.length + prefixes.length + tags.length
  if (all && named > 0)
    throw invalid('--all beside a URL, --prefix or --tag: nothing was purged. Keep one of them.')
  if (!all && named === 0)
    throw new Failure(
      cliFailures.argumentMissing,
      "'tenfold purge' needs a URL, --prefix, --tag or --all: nothing was purged.",
    )
  const view = await clientOf(input).caches.purge({ urls, prefixes, tags, all, soft: options.soft === true })
  if (json) terminal.print(JSON.stringify(view))
  else terminal.print(view.complete ? view.text : terminal.paint('red', view.text))
  return view.complete ? 0 : 1
}

export const push: Action = async input => {
  const { terminal, json, lists } = input
  const wish = { urls: lists.url ?? [], ...bodyOf(input) }
  const view = await clientOf(input).caches.push(wish)
  if (json) terminal.print(JSON.stringify(view))
  else {
    for (const { url, stored, status, why } of view.results)
      if (!stored)
        terminal.print(`${terminal.paint('red', url)}: ${why}${status === 0 ? '' : ` (${status})`}`)
    terminal.print(view.text)
  }
  return view.complete ? 0 : 1
}

function bodyOf({ options, lists }: CommandInput): Pick<PushWish, 'body'> {
  const { file, type = 'application/octet-stream', ttl = '1h' } = options
  if (typeof file !== 'string') {
    const unused = ['type', 'ttl', 'tag'].find(name => options[name] !== undefined || lists[name]?.length)
    if (unused)
      throw invalid(
        `--${unused} is for what --file stores; the service and the route say it of a URL that is asked for.`,
      )
    return {}
  }
  const ttlMs = parseDurationMs(ttl)
  if (ttlMs === undefined || ttlMs < 1)
    throw invalid(`--ttl: '${String(ttl)}' is no duration such as '10m' or '1d'.`)
  const content = contentOf(file)
  return {
    body: { base64: content.toString('base64'), contentType: String(type), ttlMs, tags: lists.tag ?? [] },
  }
}

function contentOf(file: string): Buffer {
  let content: Buffer
  try {
    content = readFileSync(file)
  } catch (cause) {
    throw invalid(`--file: '${file}' cannot be read (${(cause as NodeJS.ErrnoException).code}).`)
  }
  if (content.length > fileBytesMax)
    throw invalid(`--file: '${file}' has ${content.length} bytes; ${fileBytesMax} are possible.`)
  return content
}

function invalid(sentence: string): Failure {
  return new Failure(cliFailures.optionInvalid, sentence)
}
