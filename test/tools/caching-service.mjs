// For tests: answers that may be kept. `/films/ID` has tags and a number that grows with each time it is asked; how often
// what was asked is in the file LEDGER, a line each. `/feed` answers CACHE_FEED.

import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

let count = 0

createServer((request, response) => {
  if (request.url === '/healthz') return void response.end('ok')
  if (request.url === '/feed') return void response.end(process.env.CACHE_FEED)
  const id = /^\/films\/(\w+)/.exec(request.url)?.[1]
  if (id === undefined) return void response.writeHead(404).end('no such page')
  if (process.env.LEDGER) appendFileSync(process.env.LEDGER, `${request.url}\n`)
  response.writeHead(200, {
    'content-type': 'text/plain',
    'cache-control': 'max-age=600',
    'surrogate-key': `film:${id} films`,
  })
  response.end(`${id} ${++count}`)
}).listen(Number(process.env.PORT), process.env.HOST ?? '127.0.0.1')
