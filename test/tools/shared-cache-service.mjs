// For tests: a service that keeps films in a cache with the shared tier of CACHE_URL, and in process. GET /film is the title
// of film 7; `loaded ` stands before it where it came from the database just now.

import { createServer } from 'node:http'
import pg from 'pg'
import { createCache } from '../../src/app/cache/index.ts'
import { createRedisTier } from '../../src/app/cache/shared/index.ts'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 })
// A connection that ends while it is idle is replaced at the next query.
pool.on('error', () => {})
const tier = createRedisTier({ name: 'films-of-shop', redis: process.env.CACHE_URL })
const cache = createCache({
  name: 'films',
  tier,
  ttlMs: 3_600_000,
  earlyBeta: 0,
  ...(process.env.WITHOUT_FEED === undefined && { feed: process.env.CACHE_FEED }),
})

async function film() {
  let loaded = ''
  const load = async () => {
    loaded = 'loaded '
    return (await pool.query('SELECT title FROM films WHERE id = 7')).rows[0].title
  }
  const title = await cache.getOrSet('film 7', load, { tags: ['film:7'] })
  return `${loaded}${title}`
}

createServer(async (request, response) => {
  try {
    response.end(request.url.endsWith('/film') ? await film() : 'ok')
  } catch (error) {
    response.statusCode = 500
    response.end(`${error.code} ${error.message}`)
  }
}).listen(process.env.PORT)
