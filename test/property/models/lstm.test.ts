import { type ForecasterFactory, singleSeriesOf } from '@foremesh/models';
import { type LstmModel, lstmModel, trainLstm } from '@foremesh/models/lstm';
import { keepsForecasterContract } from '../../support/forecaster-contract.ts';

const ramp = {
  intervalMs: 60_000,
  range: { low: 0, high: 100 },
  values: Float64Array.from({ length: 400 }, (_, at) => at % 90),
};

describe('the LSTM', () => {
  let model: LstmModel;
  let lstm: ForecasterFactory;

  before(async function () {
    this.timeout(120_000);
    model = await lstmModel((await trainLstm([ramp], { lags: 12, steps: 6, updates: 30 }))!);
    lstm = singleSeriesOf(model);
  });
  after(() => model.dispose());

  keepsForecasterContract('lstm', () => lstm, { followsShifts: false, sureOf: 0.05, numRuns: 60 });
});
