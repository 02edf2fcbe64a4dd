import { openRequests } from '../../src/ledger/requests.ts';
import { ledgerContract } from '../contract/ledger.contract.ts';
import { deps, temporaryLedger } from './temporary-ledger.ts';

ledgerContract(
  'In SQLite',
  async () => {
    const place = await temporaryLedger();
    return {
      open: () => place.open(),
      submit: (order) => {
        using outbox = openRequests(place.path, deps);
        return outbox.submit(order);
      },
      [Symbol.asyncDispose]: place[Symbol.asyncDispose],
    };
  },
  40,
);
