// A ticket shop: pages by `web`; films, seats and orders by `api`, which keeps them in the database `main`. `npm start` in
// the project's folder runs this file.

import { defineSystem } from 'tenfold'

const port = Number(process.env.BOXOFFICE_PORT ?? 8080)
// 'off': nothing is kept anywhere, to see what that costs.
const caching = process.env.BOXOFFICE_CACHE !== 'off'
// Such as redis://127.0.0.1:6379: name and email of who bought are remembered there.
const redis = process.env.BOXOFFICE_REDIS
// The first is for a clone of the project alone: see there.
const node = ['node', '--import', './tenfold-source.mjs']

const page = { to: 'web', compress: true, responseHeaders: { set: { 'x-content-type-options': 'nosniff' } } }

export default defineSystem({
  name: 'boxoffice',
  control: { listen: 9900 },
  edge: {
    // https on any free port, with a certificate of Tenfold's own making for localhost: `tenfold status` shows the address.
    listen: { http: port, https: 0 },
    accessLog: true,
    routes: [
      { path: '/api/*', to: 'api', rewrite: '/' },
      // Style sheet and script, straight from disk (and from memory, once somebody has asked): no instance is needed.
      { path: '/assets/*', files: 'public', compress: true },
      { path: '/films', redirect: '/' },
      // Pages that are the same for everybody are kept until a row that they are made of changes (`invalidate` below); `web`
      // says how long at most. While no instance answers, what was kept is shown for up to a day.
      {
        ...page,
        path: '/films/:film',
        cache: caching && { tags: ['film:{film}'], key: { query: 'none' }, staleIfError: '1d' },
      },
      {
        ...page,
        path: '/',
        cache: caching && {
          tags: ['films'],
          key: { query: { only: ['q', 'genre', 'sort', 'page'] } },
          staleIfError: '1d',
        },
      },
      // Seats, orders and tickets, never kept: they are somebody's, or change by the second.
      { ...page, path: '/*' },
    ],
  },
  services: {
    web: {
      command: [...node, 'web/server.mjs'],
      instances: { min: 3, max: 8 },
      health: { path: '/healthz' },
      balance: 'least-connections',
      env: { API_URL: `http://127.0.0.1:${port}/api` },
    },
    api: {
      command: [...node, 'api/server.mjs'],
      instances: { min: 2, max: 8 },
      health: { path: '/healthz' },
      // The first start makes the tables and fills them.
      ready: { timeout: '2m' },
      balance: 'two-choices',
      retry: { attempts: 2 },
      env: { BOXOFFICE_CACHE: caching ? 'on' : 'off' },
    },
  },
  databases: {
    // A primary and two replicas. An order that was acknowledged is on two disks; pages read from replicas, and never
    // something older than the last order that anybody was told of.
    main: {
      replicas: 2,
      durability: 'one-replica',
      reads: 'fresh',
      access: { api: 'owner' },
      // Whoever changes a row, by SQL typed by hand too: the edge and every instance of `api` forget what was made of it.
      invalidate: [
        { on: 'films', tags: ['film:{id}', 'films'] },
        { on: 'screenings', tags: ['film:{film}'] },
      ],
    },
  },
  ...(redis && { caches: { main: { redis, access: ['web'] } } }),
})
