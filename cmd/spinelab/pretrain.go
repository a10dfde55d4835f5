package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"spinebox/lab/textures"
	"spinebox/lab/train"
	"spinebox/models/nets"
)

func pretrainCommand() *cobra.Command {
	c := train.Default()
	c.Epochs, c.Batch = 12, 16
	p := train.Pretraining{}
	var network, size, out string
	cmd := &cobra.Command{
		Use:   "pretrain --out FILE",
		Short: "Train a backbone on made textures and shapes, where ImageNet's weights are not at hand",
		Long: fmt.Sprintf(`Train a backbone to tell %d kinds of made textures and shapes apart, and write
its weights for "spinelab train --method features" and "--method finetune".

It is a stand-in and no substitute for ImageNet's weights: every model that
descends from it says so.`, textures.Kinds()),
		Example: `  spinelab pretrain --out backbone.safetensors
  spinelab pretrain --net vgg16 --size 96x96 --pictures 200 --out vgg16.safetensors`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Network, err = nets.ParseArchitecture(network); err != nil {
				return usageError{err}
			}
			if c.Input.Height, c.Input.Width, err = parseSize(size); err != nil {
				return usageError{err}
			}
			if err := c.Validate(); err != nil {
				return usageError{err}
			}
			p.Config, p.Dir, p.Progress = c, out+".training", trainingProgress(cmd.ErrOrStderr())
			f, err := p.Train(cmd.Context(), out)
			switch {
			case errors.Is(err, train.ErrExists):
				return fmt.Errorf("%s holds a pretraining\nhint: --resume goes on with it; another --out begins a new one", p.Dir)
			case errors.Is(err, context.Canceled):
				return err
			case err != nil:
				return fmt.Errorf("pretrain: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\nA stand-in for ImageNet's weights. SHA-256 %s\n", out, f.Architecture, f.Origin, f.Digest)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&out, "out", "", "the file to write; the checkpoint lies in a folder beside it")
	f.StringVar(&network, "net", string(c.Network), "resnet50 or vgg16")
	f.StringVar(&size, "size", "96x96", "of the pictures, HEIGHTxWIDTH in pixels; the backbone takes any size")
	f.IntVar(&p.Pictures, "pictures", 300, "of each kind; a tenth of them validates")
	f.IntVar(&c.Epochs, "epochs", c.Epochs, "passes over the pictures")
	f.IntVar(&c.Batch, "batch", c.Batch, "pictures in one step")
	f.Float64Var(&c.Rate, "rate", c.Rate, "highest learning rate")
	f.Uint64Var(&c.Seed, "seed", c.Seed, "of the pictures and the first weights")
	f.BoolVar(&p.Resume, "resume", false, "go on from the checkpoint")
	f.IntVar(&p.Cores, "threads", runtime.NumCPU(), "for TensorFlow")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}
