/** Logistic regression by gradient descent with L2 regularisation, and what is needed to judge it. All of it is deterministic. */

export interface Sample {
  /** Measured values, of about the same scale. */
  readonly features: readonly number[];
  readonly label: 0 | 1;
}

export interface Settings {
  /** Step of the gradient descent, above 0. */
  readonly rate: number;
  /** Weight of the squared parameters in the loss, 0 or more. */
  readonly penalty: number;
  readonly epochs: number;
  /** Parts of the cross-validation, 2 or more. */
  readonly folds: number;
}

export interface Score {
  readonly rate: number;
  readonly penalty: number;
  /** Mean over the folds, on what was not learned from: share of right answers, 0 to 1. */
  readonly accuracy: number;
  /** Mean log loss, in nats. */
  readonly loss: number;
}

/** `label,feature,feature,...`, one sample a line; empty lines are passed over. */
export function parseSamples(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [label, ...features] = line.split(',').map(Number);
      return { features, label: label === 1 ? 1 : 0 };
    });
}

const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));

function probability(weights: readonly number[], features: readonly number[]): number {
  let sum = weights[features.length]!;
  for (let i = 0; i < features.length; i += 1) sum += weights[i]! * features[i]!;
  return sigmoid(sum);
}

/** Weights of the features, and the bias behind them. */
export function train(samples: readonly Sample[], { rate, penalty, epochs }: Settings): number[] {
  const size = samples[0]!.features.length;
  const weights = new Array<number>(size + 1).fill(0);
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const gradient = new Array<number>(size + 1).fill(0);
    for (const { features, label } of samples) {
      const error = probability(weights, features) - label;
      for (let i = 0; i < size; i += 1) gradient[i]! += error * features[i]!;
      gradient[size]! += error;
    }
    for (let i = 0; i <= size; i += 1) {
      weights[i]! -= rate * (gradient[i]! / samples.length + (i < size ? penalty * weights[i]! : 0));
    }
  }
  return weights;
}

/** Cross-validation: fold k is every `folds`-th sample from k on. */
export function evaluate(samples: readonly Sample[], settings: Settings): Score {
  let right = 0;
  let loss = 0;
  for (let fold = 0; fold < settings.folds; fold += 1) {
    const weights = train(
      samples.filter((_, index) => index % settings.folds !== fold),
      settings,
    );
    for (const { features, label } of samples.filter((_, index) => index % settings.folds === fold)) {
      const chance = probability(weights, features);
      if (chance >= 0.5 === (label === 1)) right += 1;
      loss -= Math.log(Math.max(1e-12, label === 1 ? chance : 1 - chance));
    }
  }
  const { rate, penalty } = settings;
  return { rate, penalty, accuracy: right / samples.length, loss: loss / samples.length };
}

/** The smallest loss, and all scores from the best to the worst. */
export function rank(scores: readonly Score[]): { best: Score; scores: Score[] } {
  const sorted = [...scores].sort((a, b) => a.loss - b.loss || a.rate - b.rate || a.penalty - b.penalty);
  return { best: sorted[0]!, scores: sorted };
}
