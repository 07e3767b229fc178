"""What only training needs: data, losses, discriminators."""
