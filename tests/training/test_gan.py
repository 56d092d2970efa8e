"""Every path of the training step against the same step written out in another way."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from pydantic import ValidationError

from ganvas.errors import GanvasError
from ganvas.networks import NetworkParams, build
from ganvas.training.augmentation import augment
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN, SCORES
from ganvas.training.losses import Loss, LossParams, make_loss
from ganvas.training.optimizers import make_optimizer
from ganvas.training.state import read_state, write_state

RATE = 0.05
SIDE = 8
PLAIN = ("non_saturating", "hinge", "least_squares", "wasserstein", "relativistic")
SMOOTHED = ("non_saturating", "least_squares")
LOSSES = [LossParams(name=name) for name in PLAIN]
LOSSES += [LossParams(name=name, label_smoothing=0.2) for name in SMOOTHED]
BCE = keras.losses.BinaryCrossentropy(from_logits=True)
TEXTBOOK = Loss(
    lambda real, fake: BCE(tf.ones_like(real), real) + BCE(tf.zeros_like(fake), fake),
    lambda real, fake: BCE(tf.ones_like(fake), fake),
)
Batch = tuple[np.ndarray, np.ndarray]
GanNetworks = tuple[keras.Model, keras.Model]


def build_smooth(seed: int = 0) -> GanNetworks:
    """Two tiny networks without batch norm and without kinks."""
    keras.utils.set_random_seed(seed)
    latent = keras.Input((6,))
    x = layers.Dense(SIDE * SIDE * 3, activation="tanh")(latent)
    images = keras.Input((SIDE, SIDE, 3))
    y = layers.Conv2D(2, 3, strides=2, activation="tanh")(images)
    y = layers.Dense(1)(layers.Flatten()(y))
    generator = keras.Model(latent, layers.Reshape((SIDE, SIDE, 3))(x))
    return generator, keras.Model(images, y)


def build_brightness() -> GanNetworks:
    """A generator of black images, and a discriminator whose logit is the mean, in [-1, 1]."""
    generator, _ = build_smooth()
    generator.set_weights(
        [0 * weight - 20 * (weight.ndim == 1) for weight in weights_of(generator)]
    )
    images = keras.Input((SIDE, SIDE, 3))
    head = layers.Dense(1, kernel_initializer=keras.initializers.Constant(1 / (SIDE * SIDE * 3)))
    return generator, keras.Model(images, head(layers.Flatten()(images)))


def draw(count: int = 8, seed: int = 0, side: int = SIDE) -> Batch:
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return shown, rng.standard_normal((count, 6), dtype=np.float32)


def make_gan(
    networks: GanNetworks,
    rates: tuple[float, float] = (RATE, RATE),
    averaged: keras.Model | None = None,
    compiling: dict | None = None,
    **params,
) -> GAN:
    """A GAN with plain descent: rates of generator and discriminator, then parameters."""
    params = TrainParams(**({"batch_size": 8, "seed": 3} | params))
    gan = GAN(networks, averaged or networks[0], params)
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates), **(compiling or {}))
    return gan


def step(gan: GAN, batch: Batch) -> dict[str, float]:
    """One step without a graph; its own losses and scores."""
    gan.reset_metrics()
    scores = gan.train_step(tuple(map(tf.constant, batch)))
    return {name: float(value) for name, value in scores.items()}


def fit(gan: GAN, *batches: Batch, **options) -> dict[str, float]:
    """Steps in a graph; the means of their losses and scores."""
    stacked = tuple(np.stack(arrays) for arrays in zip(*batches, strict=True))
    dataset = tf.data.Dataset.from_tensor_slices(stacked)
    scores = gan.fit(dataset, verbose=0, shuffle=False, **options).history
    return {name: float(values[0]) for name, values in scores.items()}


def in_range(images: np.ndarray) -> tf.Tensor:
    return tf.constant(images.astype(np.float32) / 127.5 - 1)


def copy_of(model: keras.Model) -> keras.Model:
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def weights_of(*models: keras.Model) -> list[np.ndarray]:
    return [weight for model in models for weight in model.get_weights()]


def assert_close(
    ours: list[np.ndarray], theirs: list[np.ndarray], atol: float = 2e-6, rtol: float = 0
) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def differ(ours: list[np.ndarray], theirs: list[np.ndarray], by: float = 1e-4) -> bool:
    return max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)) > by


class Hand:
    """The textbook's step, written out for copies of two networks.

    Args:
        networks: What to copy.
        loss: What is minimized.
        see: What is done to images before the discriminator sees them.
    """

    def __init__(
        self,
        networks: GanNetworks,
        loss: Loss = TEXTBOOK,
        see: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    ) -> None:
        self.networks = self.generator, self.discriminator = tuple(map(copy_of, networks))
        self.loss, self.see = loss, see

    def alternate(self, batch: Batch) -> dict[str, float]:
        """First the discriminator, then the generator by the new one's word."""
        loss_d, *logits = self.update_discriminator(batch)
        return self.scores(self.update_generator(batch), loss_d, *logits)

    def update_discriminator(self, batch: Batch) -> tuple[tf.Tensor, ...]:
        fake = tf.constant(self.generator(batch[1], training=True).numpy())
        with tf.GradientTape() as tape:
            real_logits, fake_logits = self.judge(in_range(batch[0])), self.judge(fake)
            loss = self.loss.discriminator(real_logits, fake_logits)
        variables = self.discriminator.trainable_variables
        self.descend(variables, tape.gradient(loss, variables))
        return loss, real_logits, fake_logits

    def update_generator(self, batch: Batch) -> tf.Tensor:
        before = self.generator.get_weights()
        with tf.GradientTape() as tape:
            fake_logits = self.judge(self.generator(batch[1], training=True))
            real_logits = fake_logits
            if self.loss.generator is make_loss(LossParams(name="relativistic")).generator:
                real_logits = self.judge(in_range(batch[0]))
            loss = self.loss.generator(real_logits, fake_logits)
        variables = self.generator.trainable_variables
        gradients = tape.gradient(loss, variables)
        # The second forward pass, only needed here, must not move the averages of batch norm twice.
        self.generator.set_weights(before)
        self.descend(variables, gradients)
        return loss

    def update_both(self, batch: Batch) -> dict[str, float]:
        """Both by the same word of the same discriminator."""
        with tf.GradientTape(persistent=True) as tape:
            fake = self.generator(batch[1], training=True)
            real_logits, fake_logits = self.judge(in_range(batch[0])), self.judge(fake)
            loss_d = self.loss.discriminator(real_logits, fake_logits)
            loss_g = self.loss.generator(real_logits, fake_logits)
        by_loss = [(loss_g, self.generator), (loss_d, self.discriminator)]
        variables = [model.trainable_variables for _, model in by_loss]
        gradients = [tape.gradient(loss, model.trainable_variables) for loss, model in by_loss]
        for group, of_group in zip(variables, gradients, strict=True):
            self.descend(group, of_group)
        return self.scores(loss_g, loss_d, real_logits, fake_logits)

    def judge(self, images: tf.Tensor) -> tf.Tensor:
        return self.discriminator(self.see(images), training=True)

    @staticmethod
    def descend(variables: list[keras.Variable], gradients: list[tf.Tensor]) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(RATE * gradient)

    @staticmethod
    def scores(loss_g, loss_d, real_logits, fake_logits) -> dict[str, float]:
        scores = [tf.reduce_mean(tf.sigmoid(logits)) for logits in (real_logits, fake_logits)]
        return dict(zip(SCORES, map(float, [loss_g, loss_d, *scores]), strict=True))


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_step_agrees_with_the_step_written_out(networks, simultaneous):
    hand, batch = Hand(networks), draw(side=32)
    expected = (hand.update_both if simultaneous else hand.alternate)(batch)
    scores = fit(make_gan(networks, simultaneous_updates=simultaneous), batch)
    assert scores == pytest.approx(expected, rel=1e-4)
    assert_close(weights_of(*networks), weights_of(*hand.networks), atol=2e-5)


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.name} {loss.label_smoothing}")
def test_the_step_minimizes_the_chosen_loss(loss, simultaneous):
    networks = build_smooth()
    hand = Hand(networks, make_loss(loss))
    gan = make_gan(networks, loss=loss, simultaneous_updates=simultaneous)
    for seed in range(2):
        batch = draw(seed=seed)
        expected = (hand.update_both if simultaneous else hand.alternate)(batch)
        assert step(gan, batch) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*hand.networks))


def test_each_optimizer_moves_its_own_network_alone(networks):
    before = [[w.numpy() for w in model.trainable_weights] for model in networks]
    step(make_gan(networks, rates=(0.0, 0.1)), draw(side=32))
    after = [[w.numpy() for w in model.trainable_weights] for model in networks]
    assert all((a == b).all() for a, b in zip(before[0], after[0], strict=True))
    assert all((a != b).any() for a, b in zip(before[1], after[1], strict=True))


CUT = {
    "plain": {},
    "smoothed": {"loss": {"label_smoothing": 0.2}},
    "relativistic": {"loss": {"name": "relativistic"}},
    "penalized": {"penalty": {"r1": 2.0, "r2": 1.0}},
}


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("params", CUT.values(), ids=CUT)
def test_a_batch_in_pieces_does_what_the_undivided_one_does(params, simultaneous):
    ends, scores = [], []
    for accumulate in (1, 4):
        networks = build_smooth()
        gan = make_gan(
            networks,
            gradient_accumulation_steps=accumulate,
            simultaneous_updates=simultaneous,
            **params,
        )
        scores.append([step(gan, draw(seed=seed)) for seed in range(2)])
        ends.append(weights_of(*networks))
    assert_close(*ends, atol=1e-6)
    for whole, pieced in zip(*scores, strict=True):
        assert pieced == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_images_and_latents_of_every_piece_count(simultaneous):
    def run(batch: Batch) -> list[list[np.ndarray]]:
        networks = build_smooth()
        step(
            make_gan(networks, gradient_accumulation_steps=2, simultaneous_updates=simultaneous),
            batch,
        )
        return [weights_of(model) for model in networks]

    shown, latents = draw()
    before = run((shown, latents))
    for place in (0, 4):
        changed = shown.copy(), latents.copy()
        changed[0][place] = 255 - changed[0][place]
        changed[1][place] *= -1
        assert differ(run((changed[0], latents))[1], before[1])
        assert all(map(differ, run((shown, changed[1])), before))


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_more_updates_of_the_discriminator_take_images_of_their_own(simultaneous, accumulate):
    networks = build_smooth()
    hand, (shown, latents) = Hand(networks), draw(24)
    *first, last = [(shown[at : at + 8], latents[at : at + 8]) for at in (0, 8, 16)]
    for part in first:
        hand.update_discriminator(part)
    expected = (hand.update_both if simultaneous else hand.alternate)(last)
    options = {"simultaneous_updates": simultaneous, "gradient_accumulation_steps": accumulate}
    gan = make_gan(networks, discriminator_steps=3, **options)
    assert step(gan, (shown, latents)) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*hand.networks))
    assert int(gan.generator_optimizer.iterations) == int(gan.steps) == 1
    assert int(gan.discriminator_optimizer.iterations) == 3


def build_judge() -> keras.Model:
    """A discriminator of 4×4 images that NumPy can do too; see `judge64`."""
    keras.utils.set_random_seed(1)
    normal = keras.initializers.RandomNormal(stddev=0.5)
    images = keras.Input((4, 4, 3))
    x = layers.Dense(3, activation="tanh", kernel_initializer=normal)(layers.Flatten()(images))
    return keras.Model(images, layers.Dense(1)(x))


def judge64(weights: list[np.ndarray], images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits (N,), and the norms (N,) of their gradients at the pixels, in float64."""
    kernel, bias, top, last = weights
    hidden = np.tanh(images.reshape(len(images), -1) @ kernel + bias)
    slopes = ((1 - hidden**2) * top[:, 0]) @ kernel.T
    return (hidden @ top + last)[:, 0], np.linalg.norm(slopes, axis=1)


def paid64(weights: list[np.ndarray], images: dict[str, np.ndarray], penalty: dict) -> float:
    """The discriminator's loss with its penalties, in float64."""
    real, slope_at_real = judge64(weights, images["real"])
    fake, slope_at_fake = judge64(weights, images["fake"])
    _, slope_between = judge64(weights, images["between"])
    total = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
    total += penalty.get("r1", 0) / 2 * (slope_at_real**2).mean()
    total += penalty.get("r2", 0) / 2 * (slope_at_fake**2).mean()
    return total + penalty.get("wgan_gp", 0) * ((slope_between - 1) ** 2).mean()


def differentiate(function: Callable, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Central differences by every number in the weights, changed in place and back."""
    gradients = [np.zeros_like(array) for array in weights]
    for array, gradient in zip(weights, gradients, strict=True):
        for place in np.ndindex(array.shape):
            here, ends = array[place], []
            for change in (1e-5, -1e-5):
                array[place] = here + change
                ends.append(function(weights))
            array[place], gradient[place] = here, (ends[0] - ends[1]) / 2e-5
    return gradients


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_the_gradient_of_a_penalized_loss_is_that_of_finite_differences(name, simultaneous):
    penalty, discriminator = {name: 3.0}, build_judge()
    generator = keras.Sequential(
        [keras.Input((6,)), layers.Dense(48, activation="tanh"), layers.Reshape((4, 4, 3))]
    )
    batch = draw(side=4)
    real, fake = in_range(batch[0]).numpy().astype(float), generator(batch[1]).numpy().astype(float)
    share = keras.random.uniform((8, 1, 1, 1), seed=keras.random.SeedGenerator(3)).numpy()
    seen = {"real": real, "fake": fake, "between": share * real + (1 - share) * fake}
    start = [weight.astype(float) for weight in weights_of(discriminator)]
    expected = differentiate(lambda weights: paid64(weights, seen, penalty), start)
    unpaid = differentiate(lambda weights: paid64(weights, seen, {}), start)
    gan = make_gan(
        (generator, discriminator),
        rates=(0.0, 1.0),
        penalty=penalty,
        simultaneous_updates=simultaneous,
    )
    assert step(gan, batch)["loss_d"] == pytest.approx(paid64(start, seen, {}), rel=1e-6)
    given = [one - other for one, other in zip(start, weights_of(discriminator), strict=True)]
    assert_close(given, expected, rtol=1e-6)
    assert differ(expected, unpaid, by=0.05)


@pytest.mark.parametrize("simultaneous", [False, True])
def test_a_lazy_penalty_comes_every_so_many_steps_and_as_many_times_as_strong(simultaneous):
    penalties = {"lazy": {"r1": 1.0, "interval": 4}, "never": {}, "strong": {"r1": 4.0}}
    pairs = {name: build_smooth() for name in penalties}
    gans = {
        name: make_gan(pairs[name], penalty=penalty, simultaneous_updates=simultaneous)
        for name, penalty in penalties.items()
    }
    starts = [model.get_weights() for model in build_smooth()]
    for number in range(9):
        ends = {}
        for name, gan in gans.items():
            for model, start in zip(pairs[name], starts, strict=True):
                model.set_weights(start)
            fit(gan, draw(seed=number))
            ends[name] = weights_of(*pairs[name])
        assert_close(ends["lazy"], ends["never" if number % 4 else "strong"])
        assert differ(ends["never"], ends["strong"], by=1e-3)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_a_penalty_with_batch_norm_in_the_discriminator_is_refused(networks, name):
    with pytest.raises(GanvasError) as refusal:
        make_gan(networks, penalty={name: 1.0})
    message = str(refusal.value)
    assert message.startswith(f"train.penalty.{name} ")
    assert "network.dcgan.discriminator_norm=none" in message
    assert message.count(". ") == 0
    assert message.endswith(".")


def test_lecam_counts_from_its_start_and_its_averages_follow_the_logits():
    networks = build_smooth()
    averages = np.zeros(2)

    def with_lecam(number: int) -> Loss:
        def loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
            means = np.array([real.numpy().mean(), fake.numpy().mean()])
            averages[:] = 0.75 * averages + 0.25 * means if number >= 2 else means
            above, below = tf.maximum(real - averages[1], 0), tf.maximum(averages[0] - fake, 0)
            penalty = tf.reduce_mean(above**2) + tf.reduce_mean(below**2)
            return TEXTBOOK.discriminator(real, fake) + 2.0 * (number >= 2) * penalty

        return TEXTBOOK._replace(discriminator=loss)

    hand, plain = Hand(networks), Hand(networks)
    gan = make_gan(networks, penalty={"lecam": 2.0, "lecam_decay": 0.75, "lecam_start": 2})
    for number in range(5):
        hand.loss = with_lecam(number)
        hand.alternate(draw(seed=number))
        plain.alternate(draw(seed=number))
        step(gan, draw(seed=number))
        given = [float(gan.critic.real_average), float(gan.critic.fake_average)]
        assert given == pytest.approx(averages.tolist(), rel=1e-4, abs=1e-6)
        assert_close(weights_of(*networks), weights_of(*hand.networks))
        assert differ(weights_of(*networks), weights_of(*plain.networks)) == (number >= 2)


def test_averaged_weights_follow_the_generator_with_a_ramp(networks):
    averaged = copy_of(networks[0])
    averaged.set_weights([0 * weight for weight in weights_of(averaged)])
    gan = make_gan(networks, averaged=averaged, ema_decay=0.5)
    expected = weights_of(networks[0])
    assert_close(weights_of(averaged), expected, atol=0)
    for number in range(20):
        fit(gan, draw(seed=number, side=32))
        decay = min(0.5, (1 + number) / (10 + number))
        expected = [
            decay * past + (1 - decay) * now.astype(float)
            for past, now in zip(expected, weights_of(networks[0]), strict=True)
        ]
    assert_close(weights_of(averaged), expected, atol=1e-6)
    moments = [weight.name for weight in averaged.non_trainable_weights]
    assert {"moving_mean", "moving_variance"} <= set(moments)
    assert differ(weights_of(averaged), weights_of(networks[0]))
    np.testing.assert_array_equal(gan(draw()[1]), averaged(draw()[1]))


def test_without_an_average_the_generator_itself_is_shown():
    networks = build_smooth()
    gan = make_gan(networks)
    before = gan(draw()[1]).numpy()
    step(gan, draw())
    assert gan.averaged is networks[0]
    assert gan.state()["averaged"] == []
    np.testing.assert_array_equal(gan(draw()[1]), networks[0](draw()[1]))
    assert differ([gan(draw()[1]).numpy()], [before])


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("name", ["diffaugment", "ada"])
def test_both_networks_learn_from_augmented_images(name, simultaneous):
    networks, policy = build_smooth(), ("color", "translation", "cutout")
    share = {"diffaugment": 1.0, "ada": 0.5}[name]
    seed = keras.random.SeedGenerator(3)
    hand = Hand(networks, see=lambda images: augment(images, policy, share, seed))
    plain = Hand(networks)
    gan = make_gan(networks, augment={"name": name}, simultaneous_updates=simultaneous)
    if name == "ada":
        gan.critic.probability.assign(share)
    expected = (hand.update_both if simultaneous else hand.alternate)(draw())
    plain.alternate(draw())
    assert step(gan, draw()) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*hand.networks))
    for ours, theirs in zip(networks, plain.networks, strict=True):
        assert differ(weights_of(ours), weights_of(theirs))


def test_an_augmentation_that_adapts_begins_with_none():
    networks = build_smooth()
    hand, gan = Hand(networks), make_gan(networks, augment={"name": "ada"})
    assert step(gan, draw()) == pytest.approx(hand.alternate(draw()), rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*hand.networks))


def adapt(start: float, bright: list[int], rounds: int = 1) -> list[float]:
    """ADA's probability after each step; how many of a round's 10 images have logits above 0."""
    ada = {"name": "ada", "interval": 4, "speed": 400, "policy": ["translation"]}
    options = {"batch_size": 10, "discriminator_steps": rounds, "augment": ada}
    gan = make_gan(build_brightness(), rates=(0.0, 0.0), **options)
    gan.critic.probability.assign(start)
    moves = []
    for count in bright:
        shown = np.zeros((10, SIDE, SIDE, 3), np.uint8)
        shown[:count] = 255
        step(gan, (np.tile(shown, (rounds, 1, 1, 1)), draw(10 * rounds)[1]))
        moves.append(float(gan.critic.probability))
    assert any(variable is gan.critic.probability for variable in gan.state()["numbers"])
    return moves


def test_the_probability_of_augmentation_rises_while_real_images_are_known_too_well():
    # Four steps of 10 images, 400 images from 0 to 1.
    expected = [0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1]
    assert adapt(0.0, [10] * 8 + [0] * 4) == pytest.approx(expected)


def test_the_probability_of_augmentation_moves_by_the_images_of_all_updates_of_a_step():
    # Four steps of three times 10 images.
    assert adapt(0.0, [10] * 4, rounds=3)[-1] == pytest.approx(0.3)


def test_the_probability_of_augmentation_follows_the_signs_of_all_steps_since_its_last_move():
    # Mean signs of .5 and .7, with the target .6 between them.
    assert adapt(0.5, [0, 10, 10, 10])[-1] == pytest.approx(0.4)
    assert adapt(0.5, [4, 10, 10, 10])[-1] == pytest.approx(0.6)
    assert adapt(0.5, [10, 10, 10, 4])[-1] == pytest.approx(0.6)


def test_the_probability_of_augmentation_stays_between_0_and_1():
    assert adapt(0.05, [0] * 8)[3::4] == [0.0, 0.0]
    assert adapt(0.95, [10] * 8)[3::4] == [1.0, 1.0]


def test_the_signs_that_adapt_are_those_of_the_losss_own_boundary():
    ada = {"name": "ada", "interval": 1, "speed": 100, "policy": ["translation"]}
    gray = np.full((10, SIDE, SIDE, 3), 178, np.uint8)  # Logits of 0.4.
    for loss, moved in (("least_squares", 0.4), ("hinge", 0.6)):
        gan = make_gan(build_brightness(), (0.0, 0.0), augment=ada, loss={"name": loss})
        gan.critic.probability.assign(0.5)
        step(gan, (gray[:8], draw(8)[1]))
        assert float(gan.critic.probability) == pytest.approx(0.5 + (moved - 0.5) * 0.8, abs=1e-3)
    with pytest.raises(ValidationError, match="which the relativistic loss has not"):
        TrainParams(augment=ada, loss={"name": "relativistic"})


def test_a_penalty_is_the_same_however_many_logits_a_image_has():
    def paid(count):
        images = keras.Input((4, 4, 3))
        one = layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(images))
        judge = keras.Model(images, layers.Concatenate()([one] * count) if count > 1 else one)
        generator = keras.Sequential(
            [keras.Input((6,)), layers.Dense(48), layers.Reshape((4, 4, 3))]
        )
        # Real images of logits beyond 1, and generated ones below -1, pay for their slope alone.
        generator.set_weights([weight * 0 - 1 for weight in weights_of(generator)])
        gan = make_gan((generator, judge), (0.0, 0.01), penalty={"r1": 1.0}, loss={"name": "hinge"})
        before = weights_of(judge)[0].copy()
        step(gan, (np.full((8, 4, 4, 3), 255, np.uint8), draw(8, side=4)[1] * 0))
        return np.abs(weights_of(judge)[0] - before).max()

    assert paid(5) == pytest.approx(paid(1), rel=1e-4) and paid(1) > 0


def test_flip_mirrors_about_half_of_the_real_images():
    generator, discriminator = build_brightness()
    side = np.where(np.arange(SIDE) < SIDE // 2, 1.0, -1.0).astype(np.float32)
    kernel = np.ones((SIDE, 1, 3), np.float32) * side[:, None] / (SIDE * SIDE * 3)
    discriminator.set_weights([kernel.reshape(-1, 1), np.zeros(1, np.float32)])
    shown = np.zeros((200, SIDE, SIDE, 3), np.uint8)
    shown[:, :, : SIDE // 2] = 255
    gan = make_gan((generator, discriminator), rates=(0.0, 0.0), batch_size=200, flip=True)
    low, high = 1 / (1 + np.e), 1 / (1 + 1 / np.e)
    shares = [
        (step(gan, (shown, draw(200, seed)[1]))["real_score"] - low) / (high - low)
        for seed in range(3)
    ]
    assert all(0.35 < share < 0.65 for share in shares)
    assert all(share * 200 == pytest.approx(round(share * 200), abs=0.01) for share in shares)
    assert len(set(shares)) > 1


def build_in(precision: str, norm: str = "batch") -> GanNetworks:
    keras.utils.set_random_seed(0)
    params = {"latent": 6, "generator_width": 2, "discriminator_width": 2}
    params |= {"discriminator_norm": norm}
    return build(NetworkParams(dcgan=params), (32, 32, 3), precision=precision)[:2]


HALF = ["mixed_bfloat16", "mixed_float16"]


def trained(model: keras.Model) -> np.ndarray:
    """The weights that an optimizer moves, in one row."""
    return np.concatenate([weight.numpy().ravel() for weight in model.trainable_weights])


def make_half(precision: str, simultaneous: bool) -> GAN:
    networks = build_in(precision)
    gan = GAN(networks, networks[0], TrainParams(batch_size=8, simultaneous_updates=simultaneous))
    rates = [keras.optimizers.SGD(1e-3) for _ in networks]
    if precision == "mixed_float16":
        rates = [keras.optimizers.LossScaleOptimizer(rate, initial_scale=64.0) for rate in rates]
    gan.compile(*rates)
    return gan


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("precision", HALF)
def test_a_step_in_half_precision_is_close_to_that_in_float32(precision, simultaneous):
    moves, scores = [], []
    for each in ("float32", precision):
        gan = make_half(each, simultaneous)
        networks = gan.generator, gan.discriminator
        start = [trained(model) for model in networks]
        scores.append(fit(gan, draw(side=32)))
        moves.append(
            [trained(model) - before for model, before in zip(networks, start, strict=True)]
        )
    assert scores[1] == pytest.approx(scores[0], rel=2e-3)
    for plain, half in zip(*moves, strict=True):
        # Rounding puts some values on the other side of a kink.
        assert np.linalg.norm(half - plain) < 0.15 * np.linalg.norm(plain)


@pytest.mark.parametrize("precision", HALF)
def test_variables_images_and_logits_are_float32_in_half_precision(precision):
    gan = make_half(precision, simultaneous_updates=False)
    kinds = {str(value.dtype) for part in gan.state().values() for value in part}
    assert {kind for kind in kinds if "float" in kind} == {"float32"}
    images = gan.generator(draw()[1])
    assert images.dtype == gan.discriminator(images).dtype == tf.float32
    assert gan.discriminator.layers[1].compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("precision", HALF)
def test_penalties_and_augmentation_work_in_half_precision(precision):
    ends, params = [], {"penalty": {"r1": 1.0, "wgan_gp": 1.0, "lecam": 1.0, "lecam_start": 0}}
    for each in ("float32", precision):
        networks = build_in(each, norm="none")
        gan = make_gan(networks, rates=(0.1, 0.1), augment={"name": "diffaugment"}, **params)
        ends.append([step(gan, draw(side=32)), weights_of(*networks)])
    assert ends[1][0] == pytest.approx(ends[0][0], rel=2e-3)
    assert_close(ends[1][1], ends[0][1], atol=1e-3)


def test_an_overflow_lowers_the_scale_of_the_loss_and_leaves_the_weights():
    networks = build_in("mixed_float16")
    averaged = copy_of(networks[0])
    params = TrainParams(batch_size=8, precision="mixed_float16", ema_decay=0.9)
    gan = GAN(networks, averaged, params)
    optimizers = [make_optimizer(params, 2e-4, 10) for _ in networks]
    gan.compile(*optimizers)
    for optimizer in optimizers:
        optimizer.dynamic_scale.assign(2.0**30)
    start = [[w.numpy() for w in model.trainable_weights] for model in networks]
    fit(gan, draw(side=32))
    after = [[w.numpy() for w in model.trainable_weights] for model in networks]
    for ours, theirs in zip(after, start, strict=True):
        assert_close(ours, theirs, atol=0)
    assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [2.0**29] * 2
    assert [int(optimizer.iterations) for optimizer in optimizers] == [0, 0]
    for number in range(30):
        fit(gan, draw(seed=number, side=32))
    assert all(float(optimizer.dynamic_scale) < 2.0**29 for optimizer in optimizers)
    assert all(int(optimizer.iterations) > 5 for optimizer in optimizers)
    assert all(np.isfinite(weight).all() for weight in weights_of(*networks, averaged))
    for model, weights in zip(networks, start, strict=True):
        assert differ([w.numpy() for w in model.trainable_weights], weights)


def run_four(build: Callable[[], GanNetworks], compiling: dict, **params) -> list[np.ndarray]:
    """Four steps in a graph; the weights after them."""
    networks = build()
    averaged = copy_of(networks[0])
    gan = make_gan(networks, averaged=averaged, compiling=compiling, ema_decay=0.9, **params)
    side, returns = networks[1].input_shape[1], []
    told = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: returns.append(int(gan.steps))
    )
    fit(gan, *(draw(8, seed, side) for seed in range(4)), callbacks=[told])
    at_once = compiling.get("steps_per_execution", 1)
    assert returns == list(range(at_once, 5, at_once))
    return weights_of(*networks, averaged)


LAZY = {"r1": 1.0, "interval": 2, "lecam": 0.3, "lecam_start": 1}
SETTINGS = {
    "batch norm": (lambda: build_in("float32"), {"simultaneous_updates": True}),
    "penalties": (build_smooth, {"gradient_accumulation_steps": 2, "penalty": LAZY}),
}


@pytest.mark.parametrize(("build", "params"), SETTINGS.values(), ids=SETTINGS)
def test_a_compiled_step_and_several_at_once_do_what_single_steps_do(build, params):
    single = run_four(build, {}, **params)
    for compiling in ({"jit_compile": True}, {"steps_per_execution": 2}):
        assert_close(run_four(build, compiling, **params), single, atol=2e-5)
    assert differ(single, weights_of(*build(), build()[0]), by=1e-3)


RICH = {
    "augment": {"name": "ada", "interval": 3, "speed": 100, "policy": ["color", "cutout"]},
    "ema_decay": 0.9,
    "gradient_accumulation_steps": 2,
    "flip": True,
    "penalty": {"r1": 1.0, "wgan_gp": 1.0, "interval": 2, "lecam": 0.3, "lecam_start": 1},
    "schedule": {"name": "cosine"},
}


def make_rich(seed: int) -> GAN:
    """A GAN that has and does everything that a state can be of."""
    networks, params = build_smooth(seed), TrainParams(batch_size=8, **RICH)
    gan = GAN(networks, copy_of(networks[0]), params)
    gan.compile(*(make_optimizer(params, 1e-2, 10) for _ in networks))
    gan.critic.probability.assign(0.5)
    return gan


def go_on(gan: GAN, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state after three steps from another."""
    write_state(gan.state(), arrays)
    for seed in range(2, 5):
        step(gan, draw(seed=seed))
    return read_state(gan.state())


def test_the_state_holds_all_that_the_next_steps_depend_on():
    gan = make_rich(seed=0)
    for seed in range(2):
        step(gan, draw(seed=seed))
    middle = read_state(gan.state())
    end = go_on(gan, middle)
    assert all((end[name] != array).any() for name, array in middle.items() if array.size > 1)
    for again in (go_on(gan, middle), go_on(make_rich(seed=1), middle)):
        for name, array in end.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_the_state_leaves_out_no_variable():
    gan = make_rich(seed=0)
    known = [value for part in gan.state().values() for value in part]
    optimizers = gan.generator_optimizer, gan.discriminator_optimizer
    tracked = [*gan.variables, *(value for each in optimizers for value in each.variables)]
    assert len({id(value) for value in known}) == len(known)
    assert {value.path for value in tracked if not any(value is each for each in known)} == set()


def test_the_state_in_float16_holds_the_scale_of_the_loss_and_the_moments_of_batch_norm():
    params = TrainParams(batch_size=8, precision="mixed_float16")
    networks = build_in("mixed_float16")
    gan = GAN(networks, networks[0], params)
    gan.compile(*(make_optimizer(params, 1e-2, 10) for _ in networks))
    start = read_state(gan.state())
    for optimizer in (gan.generator_optimizer, gan.discriminator_optimizer):
        optimizer.dynamic_scale.assign(2.0)
    step(gan, draw(side=32))
    write_state(gan.state(), start)
    again = read_state(gan.state())
    assert float(gan.generator_optimizer.dynamic_scale) == 2.0**15
    assert float(gan.discriminator_optimizer.dynamic_scale) == 2.0**15
    for model, initial in zip(networks, build_in("mixed_float16"), strict=True):
        assert_close(weights_of(model), weights_of(initial), atol=0)
    assert all((again[name] == array).all() for name, array in start.items())
