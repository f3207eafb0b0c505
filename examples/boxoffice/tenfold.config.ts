// A ticket shop: pages by `web`; films, seats and orders by `api`, which keeps them in the database `main`. `npm start` in
// the project's folder runs this file.

import { defineSystem } from 'tenfold'

const port = Number(process.env.BOXOFFICE_PORT ?? 8080)

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
      {
        path: '/*',
        to: 'web',
        compress: true,
        responseHeaders: { set: { 'x-content-type-options': 'nosniff' } },
      },
    ],
  },
  services: {
    web: {
      command: ['node', 'web/server.mjs'],
      instances: { min: 3, max: 8 },
      health: { path: '/healthz' },
      balance: 'least-connections',
      env: { API_URL: `http://127.0.0.1:${port}/api` },
    },
    api: {
      command: ['node', 'api/server.mjs'],
      instances: { min: 2, max: 8 },
      health: { path: '/healthz' },
      // The first start makes the tables and fills them.
      ready: { timeout: '2m' },
      balance: 'two-choices',
      retry: { attempts: 2 },
    },
  },
  databases: {
    // A primary and two replicas. An order that was acknowledged is on two disks; pages read from replicas, and never
    // something older than the last order that anybody was told of.
    main: { replicas: 2, durability: 'one-replica', reads: 'fresh', access: { api: 'owner' } },
  },
})
